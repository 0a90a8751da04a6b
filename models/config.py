"""Every parameter of a training run, its range and its meaning. Imports no torch, so that planning is fast."""

from collections.abc import Collection
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass


class Architecture(NamedTuple):
    """Where the class of an architecture is (`module:Class`), and how many layers it can have."""

    target: str
    max_layers: int


ARCHITECTURES = {
    "conv": Architecture("models.vae:ConvVAE", max_layers=4),
    "fc": Architecture("models.vae:FullyConnectedVAE", max_layers=8),
    "attention": Architecture("models.vae:AttentionVAE", max_layers=4),
}

# The loader of each dataset, as module:function.
DATASETS = {
    "mnist": "models.data:mnist",
    "fashion_mnist": "models.data:fashion_mnist",
    "kmnist": "models.data:kmnist",
    "digits": "models.data:digits",
}


def _one_of(names: Collection[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"should be one of {', '.join(names)}")
        return name

    return AfterValidator(check)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run. The defaults are the setting of the report."""

    dataset: Annotated[
        str,
        _one_of(DATASETS),
        Field(description="Which images to learn.", json_schema_extra={"enum": [*DATASETS]}),
    ] = "mnist"
    architecture: Annotated[
        str,
        _one_of(ARCHITECTURES),
        Field(description="Kind of encoder and decoder.", json_schema_extra={"enum": [*ARCHITECTURES]}),
    ] = "conv"
    num_layers: Annotated[
        int, Field(ge=1, le=8, description="Strided convolutions (conv, attention: 1 to 4) or hidden layers (fc).")
    ] = 3
    latent_dim: Annotated[int, Field(ge=1, le=4096, description="Dimensions of the latent code z.")] = 20
    var: Annotated[
        float,
        Field(gt=0, description="Variance of the decoder's Gaussian: the smaller, the more the reconstruction counts."),
    ] = 0.25
    batch_size: Annotated[int, Field(ge=1, description="Images per optimizer step.")] = 1024
    lr: Annotated[float, Field(gt=0, description="Learning rate of Adam.")] = 5e-3
    epochs: Annotated[int, Field(ge=1, description="Passes over the training images.")] = 50
    seed: Annotated[
        int, Field(ge=0, lt=2**32, description="Seeds the weights, the order of the images and the noise.")
    ] = 0
    precision: Annotated[
        Literal["fp32", "bf16"], Field(description="Precision of the network: float32, or bfloat16 where it is safe.")
    ] = "fp32"

    def __post_init__(self) -> None:
        limit = ARCHITECTURES[self.architecture].max_layers
        if self.num_layers > limit:
            raise ValueError(f"architecture {self.architecture} has at most {limit} layers, not {self.num_layers}")
