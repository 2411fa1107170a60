"""One way to reach OpenSearch: how a client is built, and its errors in our words."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class OpenSearchSettings(BaseModel):
    """Where a cluster is and how to be let in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    user: str = ""
    password: SecretStr = SecretStr("")
    #: An API key, sent as it is in ``Authorization: ApiKey …``; instead of a user.
    api_key: SecretStr = SecretStr("")
    #: File of the certificate authority, where the system does not know it.
    ca_file: str = ""
    verify_certs: bool = True
    timeout_s: float = Field(default=30, gt=0)
    #: Engine of new vector fields: lucene everywhere, faiss where its libraries are installed.
    knn_engine: Literal["lucene", "faiss"] = "lucene"
