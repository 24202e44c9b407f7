"""A thousand hostile calls of TensorFlow's drop_block, of which `make test` tries some (rule R14)."""

from typing import Any

import numpy as np
import tensorflow as tf

from dropblock_tf import drop_block
from tests.shared.comparing import assert_is_numpys
from tests.shared.hostile import Door, calls, flags, literally, right, try_calls, wrong

X = tf.ones((2, 3, 4, 5))
OWN = [tf.constant]
MORE = {
    "across_replicas": (right([False], [bool, np.bool_]), flags(OWN)[1]),
    "data_format": (right(["channels_first"], [str]), wrong(None, "NHWC", 1, True, [], np.array(["channels_first"]))),
}
NO_TENSORS = [
    *[None, 1.0, "x", [[["x"]]], object(), tf.Tensor, X[0, 0], X[None, None], X[:, :, :0], tf.sparse.from_dense(X)],
    *[tf.cast(X, kind) for kind in (tf.int32, tf.bool, tf.complex64, tf.dtypes.experimental.float8_e5m2)],
    *[tf.ragged.constant([[[1.0], [1.0, 2.0]]]), np.ma.masked_less(X.numpy(), 0)],
]
DRESSES = [tf.constant, np.asarray, tf.Variable, lambda x: x[::-1].copy()[::-1]]
DOOR = Door("dropblock_tf.drop_block", drop_block, DRESSES, NO_TENSORS, own=OWN, more=MORE)


def test_r14_hostile_calls() -> None:
    def compare(y: Any, plain: dict[str, Any]) -> None:
        assert_is_numpys(y, literally(plain))

    try_calls(DOOR.name, DOOR.call, calls(DOOR), compare)
