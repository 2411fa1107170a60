"""The sidecar over HTTP: vectors and searches for applications, a page for people.

Files, in the order a request meets them:

- ``settings``         limits and manners
- ``operations``       port: what the server asks of the sidecar
- ``refusals``         requests that cannot be answered, and the HTTP status of every error
- ``server``           uvicorn, in front or in a background thread
- ``app``              every request: route, key, answer, count
- ``routes``           which path is answered by whom
- ``requests``         body and key of a request, within limits
- ``admission``        who is let in
- ``sign_ins``         people who signed in on the page
- ``sign_in_page``     where they do
- ``threads``          a pool for what may block
- ``encoding``         texts into vectors beside the event loop, in batches
- ``embeddings``       ``/v1/embeddings``, as OpenAI clients ask it
- ``intent``           ``/v1/intent``, which categories queries mean
- ``neural``           ``neural`` clauses become ``knn`` clauses
- ``intent_search``    what a query means, in OpenSearch's query language
- ``search``           ``/{index}/_search``
- ``search_parameters``  what of a search's URL goes to the cluster
- ``upstream``         the cluster behind the sidecar
- ``embedded_search``  the same for an embedded engine
- ``admin``            ``/v1/targets``
- ``bodies``           what the admin requests may say
- ``steering``         the hand on a run, for programs
- ``probes``           ``/healthz`` and ``/metrics``
- ``page``             the pages: targets, try a query, revert
- ``run_page``         a run as it goes, and its buttons
- ``log_page``         a click log's health, and what to mend
- ``models_page``      a target's encoders: a list, and the card of each
- ``line_picture``     which encoder was made from which
- ``click_through``    click-through by position as columns
- ``cycle_section``    how a cycle ended and why, or how far it is
- ``page_parts``       tables of a target
- ``page_frame``       what every page has around it
- ``ladder_plot``      gain against cost, drawn
- ``ladder_section``   the modes of tuning as a table and a plot
- ``measures_table``   before and after in figures
- ``parts_section``    each part that the gate looked at, with its interval drawn
- ``changes_section``  queries that gained and lost most, old and new answers side by side
- ``intent_section``   how right the intent head is, and what uses it
- ``picture``          before and after as bars
- ``markup``           HTML that cannot be injected into

Who may ask what; a key of scope ``admin`` opens everything:

======================================  ==========  ==========================
route                                   scope       by
======================================  ==========  ==========================
GET  /healthz, /metrics, /static/*      none        anyone
GET  /login, POST /login                none        anyone
POST /v1/embeddings                     ``embed``   key
GET, POST /{index}/_search              ``search``  key
GET, POST /v1/intent                    ``search``  key
GET  /v1/targets, /v1/targets/*         ``read``    key
POST /v1/targets/{target}/revert        ``admin``   key
POST /v1/targets/{target}/reindex       ``admin``   key
POST /v1/targets/{target}/{wish}        ``admin``   key
POST /v1/targets/{target}/tune          ``admin``   key
POST /v1/targets/{target}/logs          ``admin``   key
GET  /, /targets/{target}               ``read``    cookie of a sign-in
POST /targets/{target}/try              ``read``    cookie and token of the form
GET  /targets/{target}/run              ``read``    cookie of a sign-in
POST /targets/{target}/run              ``admin``   cookie and token of the form
GET  /targets/{target}/logs             ``read``    cookie of a sign-in
POST /targets/{target}/logs             ``admin``   cookie and token of the form
GET  /targets/{target}/models[/*]       ``read``    cookie of a sign-in
GET, POST /targets/{target}/revert      ``admin``   cookie and token of the form
POST /logout                            ``read``    cookie and token of the form
======================================  ==========  ==========================

A wish is ``pause``, ``resume``, ``throttle``, ``postpone``, ``cut-over`` or ``cancel``.

Searches reach the cluster with the sidecar's own credentials: whoever holds a ``search`` key
sees what the sidecar's user may read in the targets' indexes, and no other index.
"""
