"""What a named configuration fixes: the hyperparameters of one row of the paper's tables."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The paper's settings, and where it is silent those of the authors' released code; docs/full-size.md has which.

    Epochs are numbers of passes over the training images, the last incomplete batch of each left out.
    """

    table: int = 0  # of the paper, and its row; 0 for a configuration that the paper has no numbers of
    row: str = ""
    network: str
    size: int  # side of the images
    epochs: int
    batch_size: int  # of all processes together
    rate: float  # the learning rate after the warm-up
    warm_up: float  # epochs
    warm_up_from: float = 0.0  # the share of `rate` that the warm-up begins with
    decay_at: tuple[float, ...] = ()  # epochs from which `rate` is multiplied by 0.1 once more
    decay_every: float = 0.0  # epochs after which it is multiplied by `decay_by` again; 0: never
    decay_by: float = 1.0
    nesterov: bool = False
    weight_decay: float
    averaged: float = 0.0  # decay of the moving average of the weights, which is validated in their place; 0: none
    keep_prob: float = 1.0  # 1: without DropBlock
    block_size: int = 7


def learning_rate(recipe: Recipe, epoch: float) -> float:
    """The rate at a point of the run, in epochs.

    >>> resnet = Recipe(
    ...     network="resnet50", size=224, epochs=270, batch_size=1024, rate=0.4, warm_up=5, decay_at=(125, 200, 250),
    ...     weight_decay=1e-4,
    ... )
    >>> [round(learning_rate(resnet, epoch), 6) for epoch in (0, 2.5, 5, 124.9, 125, 250)]
    [0.0, 0.2, 0.4, 0.4, 0.04, 0.0004]
    """
    if epoch < recipe.warm_up:
        return recipe.rate * (recipe.warm_up_from + (1 - recipe.warm_up_from) * epoch / recipe.warm_up)
    decayed = recipe.rate * 0.1 ** sum(epoch >= start for start in recipe.decay_at)
    return decayed * recipe.decay_by ** (epoch // recipe.decay_every) if recipe.decay_every else decayed
