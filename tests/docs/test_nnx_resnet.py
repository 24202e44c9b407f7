"""The ResNet of docs/jax.md: the authors' places, one compilation for a schedule, and a resumed run bit for bit."""

from typing import Any

import pytest

for package in ("flax", "optax"):
    pytest.importorskip(package)
import jax  # noqa: E402  # after the skips
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402
from flax import nnx  # noqa: E402

from dropblock_jax import LinearSchedule  # noqa: E402
from dropblock_jax.flax import DropBlock  # noqa: E402
from tests.docs.example_support import EXAMPLES, imported  # noqa: E402


@pytest.fixture(scope="module")
def example() -> Any:
    return imported(EXAMPLES / "networks" / "nnx_resnet.py")


def layers(model: Any) -> list[tuple[Any, ...]]:
    """The paths of a model's DropBlock layers."""
    return [path for path, module in nnx.iter_modules(model) if isinstance(module, DropBlock)]


def test_resnet50_has_the_authors_four_places_a_block(example: Any) -> None:
    model = nnx.eval_shape(lambda: example.ResNet(rngs=nnx.Rngs(0)))
    places = {"first", "second", "third", "skip"}
    expected = {(block, place) for block in range(3 + 4, 3 + 4 + 6 + 3) for place in places}
    assert {(path[1], path[2]) for path in layers(model)} == expected
    assert len(layers(model)) == 4 * (6 + 3)
    found = {path: module for path, module in nnx.iter_modules(model) if isinstance(module, DropBlock)}
    assert {(path[1] >= 13, dict(layer.options)["gamma_scale"]) for path, layer in found.items()} == {
        (False, 0.25),
        (True, 1.0),
    }


@nnx.jit
def training_step(model: Any, optimizer: Any, keep_prob: Any, images: Any) -> None:
    compilations.append(1)
    gradients = nnx.grad(lambda model: jnp.square(model(images, keep_prob)).mean())(model)
    optimizer.update(model, gradients)


compilations: list[int] = []


def test_a_schedule_is_one_compilation_and_a_resumed_run_ends_in_the_same_bits(example: Any) -> None:
    schedule, sgd = LinearSchedule(0.8, 4), optax.sgd(0.1, 0.9)
    images = jax.random.normal(jax.random.key(0), (2, 24, 24, 3))

    def start() -> tuple[Any, Any]:
        model = example.ResNet(classes=3, blocks=(0, 0, 0, 1), width=2, block_size=2, rngs=nnx.Rngs(0))
        return model, nnx.Optimizer(model, sgd, wrt=nnx.Param)

    def steps(model: Any, optimizer: Any, count: int) -> None:
        for _ in range(count):
            training_step(model, optimizer, schedule(optimizer.step[...]), images)

    whole, optimizer = start()
    steps(whole, optimizer, 2)
    saved = nnx.to_pure_dict(nnx.state((whole, optimizer), nnx.Variable))
    saved = jax.tree.map(jnp.copy, saved)
    steps(whole, optimizer, 2)
    resumed = start()
    nnx.update(resumed, saved)
    steps(*resumed, 2)
    assert len(compilations) == 1
    ours, theirs = (nnx.to_pure_dict(nnx.state(model, (nnx.Param, nnx.BatchStat))) for model in (resumed[0], whole))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, ours, theirs))

    assert not jnp.array_equal(whole(images, 0.5), whole(images, 0.5))
    whole.eval()
    assert jnp.array_equal(whole(images, 0.5), whole(images, 0.5))
