# SPDX-License-Identifier: Apache-2.0
"""The subjects that come with the suite, and how a name on the command line becomes one."""

import difflib
import importlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from dropblock_conformance.judging.answers import described
from dropblock_conformance.pipe import client
from dropblock_conformance.subject import Deviation, Subject


@dataclass(frozen=True)
class Candidate:
    """A subject with what is known to deviate, and the name that repeats it."""

    subject: Subject
    expect: Sequence[Deviation] = ()
    repeat: str | None = None


WORKER = "--worker "  # then a command, quoted for a shell: what answers over a pipe

# By name: the module below this one, and what it is. It is imported only when it is asked for, as each needs a package
# that others do without.
OURS = {
    "numpy": ("ours.numpy_core", "this project's NumPy reference"),
    "torch": ("ours.torch_eager", "this project's PyTorch adapter"),
    "torch-compile": ("ours.torch_compile", "the same inside torch.compile"),
    "torch-triton": ("ours.torch_triton", "its Triton kernels, on a GPU, or interpreted with TRITON_INTERPRET=1"),
    "jax": ("ours.jax_eager", "this project's JAX adapter"),
    "jax-jit": ("ours.jax_jit", "the same inside jax.jit, keep_prob and seed as operands"),
    "flax": ("ours.jax_flax", "its layer for Flax NNX"),
    "equinox": ("ours.jax_equinox", "its layer for Equinox"),
    "tf": ("ours.tf_eager", "this project's TensorFlow adapter"),
    "tf-function": ("ours.tf_function", "the same in graphs, as tf.function makes them"),
    "tf-xla": ("ours.tf_xla", "the same compiled by XLA"),
    "keras-tf": ("ours.keras_layer:tensorflow", "its Keras layers on TensorFlow"),
    "keras-jax": ("ours.keras_layer:jax", "its Keras layers on JAX"),
    "keras-torch": ("ours.keras_layer:torch", "its Keras layers on PyTorch"),
}
THIRD_PARTY = {
    "torchvision": ("third_party.torchvision_ops", "torchvision's DropBlock2d and DropBlock3d"),
    "timm": ("third_party.timm_layer", "timm's DropBlock2d as it is, one mask for a batch's channels"),
    "timm-per-channel": ("third_party.timm_layer:per_channel", "the same with couple_channels=False"),
    "timm-1.0.22": ("third_party.timm_1_0_22", "the same before it was rewritten, its fast way"),
    "timm-1.0.22-exact": ("third_party.timm_1_0_22:exact", "the same with fast=False"),
    "miguelvr": ("third_party.miguelvr", "the `dropblock` package on PyPI, for PyTorch"),
    "torchregularize": ("third_party.torchregularize", "torchregularize's DropBlock, for PyTorch"),
    "pylocron": ("third_party.pylocron", "pylocron's (holocron's) DropBlock2d, for PyTorch"),
    "glasses": ("third_party.glasses", "glasses' DropBlock, for PyTorch"),
    "pytorch-toolbelt": ("third_party.pytorch_toolbelt", "pytorch-toolbelt's DropBlock2D"),
    "mmdet": ("third_party.mmdet", "MMDetection's DropBlock, for PyTorch"),
    "keras-cv": ("third_party.keras_cv", "KerasCV's DropBlock2D, on TensorFlow"),
    "keras-drop-block": ("third_party.keras_drop_block", "keras-drop-block's layers, for Keras 2"),
    "paddledet": ("third_party.paddledet", "PaddleDetection's DropBlock"),
}
BUILT_IN = OURS | THIRD_PARTY
GROUPS = {"ours": OURS, "third-party": THIRD_PARTY}


def place(name: str) -> tuple[str, str]:
    """The module and the attribute that a name stands for. Nothing is imported.

    Raises:
        ValueError: it is neither a built-in name nor ``module:attribute``.
    """
    if name in BUILT_IN:
        module, _, attribute = f"{__name__}.{BUILT_IN[name][0]}".partition(":")
        return module, attribute or "candidate"
    module, colon, attribute = name.partition(":")
    if not colon:
        near = difflib.get_close_matches(name, BUILT_IN, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"built in are {', '.join(BUILT_IN)}."
        raise ValueError(f"no subject is called {name!r}: {hint} For one of your own, name it as module:attribute")
    if not (module and attribute):
        raise ValueError(f"subject {name!r}: name a module before the colon and an attribute after it")
    return module, attribute


def load(name: str) -> Candidate:
    """A built-in subject by its name, any by ``module:attribute``, or one that answers as ``--worker 'COMMAND'``.

    The attribute is a :class:`Subject`, a pair of one and its declared deviations, or a function without arguments that
    returns either.

    Raises:
        ValueError: no such name, module or attribute, or the attribute is something else; the message says which.
    """
    if name.startswith(WORKER):
        return Candidate(*client.connect(shlex.split(name.removeprefix(WORKER))[0]), repeat=name)
    module, attribute = place(name)
    try:
        home = importlib.import_module(module)
    except Exception as error:  # a module may fail in any way when it is run
        raise ValueError(f"subject {name!r} cannot be imported: {described(error)}") from error
    if not hasattr(home, attribute):
        raise ValueError(f"subject {name!r}: module {module!r} has no attribute {attribute!r}")
    found = getattr(home, attribute)
    if callable(found):
        try:
            found = found()
        except TypeError as error:
            hint = "wrap a layer's function as Subject(name, call)"
            raise ValueError(
                f"subject {name!r} cannot be called without arguments ({described(error)}): {hint}"
            ) from error
        except Exception as error:
            raise ValueError(f"subject {name!r} cannot be made: {described(error)}") from error
    subject, expect = found if isinstance(found, tuple) and len(found) == 2 else (found, ())
    if not isinstance(subject, Subject):
        raise ValueError(f"subject {name!r} is a {type(subject).__name__}, not a Subject (or a pair with Deviations)")
    return Candidate(subject, expect, name)
