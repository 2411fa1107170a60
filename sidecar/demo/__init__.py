"""The first five minutes: a node, real documents, simulated clicks, one turn of the wheel.

- ``child_process``    a child that does not outlive its parent
- ``opensearch_home``  an unpacked OpenSearch with k-NN, from Maven artifacts
- ``opensearch_node``  a node: given, assembled, or in a container
- ``occupations``      the documents and queries, from ``onet``
- ``ubi_bulk``         a simulated log as User Behavior Insights records
- ``traffic``          searches and writes while the index is swapped
- ``report``           what is printed and left in demo-report.json
- ``story``            the demo from beginning to end
"""
