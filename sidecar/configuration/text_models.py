"""What a user may say about models that write queries or read pairs for the miners."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from desireline.sidecar.configuration.durations import parse_duration
from desireline.sidecar.configuration.hooks import web_address
from desireline.sidecar.configuration.paths import ConfigPath

INSTRUCTION = (
    "Write {most} short search queries, one a line and nothing else, that people would type to"
    " find the following document without knowing its words."
)


class LocalWriterConfig(BaseModel):
    """A sequence-to-sequence model in a folder; it runs in the training process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["local"] = Field(default="local", description="A model in a folder.")
    folder: ConfigPath = Field(
        description="Folder with config.json, a tokenizer and safetensors; nothing is downloaded."
    )
    prompt: str = Field(default="", description="Put before every document.")
    query_tokens: int = Field(default=24, ge=1, description="Most tokens of a query.")


class EndpointWriterConfig(BaseModel):
    """An OpenAI-compatible endpoint; the texts of documents are sent to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["endpoint"] = Field(description="An OpenAI-compatible endpoint.")
    url: Annotated[str, AfterValidator(web_address)] = Field(
        examples=["https://llm.example.org/v1"],
        description="Address before /chat/completions; documents' texts are sent there.",
    )
    model: str = Field(min_length=1, examples=["small"], description="Name of the model there.")
    key_env: str | None = Field(
        default=None,
        examples=["WRITER_KEY"],
        description="Environment variable with the key; left out: none is sent.",
    )
    instruction: str = Field(
        default=INSTRUCTION,
        description="What is asked for; {most} stands for how many queries.",
    )
    timeout: Annotated[float, BeforeValidator(parse_duration)] = Field(
        default=60.0, gt=0, description="Most time one answer may take."
    )


WriterConfig = Annotated[LocalWriterConfig | EndpointWriterConfig, Field(discriminator="kind")]
