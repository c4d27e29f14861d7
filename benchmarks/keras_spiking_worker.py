"""Runs in an environment with keras-spiking: its energy for layers, neurons and inputs read from a file.

python -m benchmarks.keras_spiking_worker FOLDER
"""

from __future__ import annotations

from typing import Any

import keras_spiking
import numpy as np
import tensorflow as tf

from benchmarks.peer_layers import Case, work

STEP = 0.001  # its default dt: SpikingActivation emits 1 / dt per spike


def count(case: Case, arrays: Any) -> dict[str, float]:
    """Every layer behind an input of its own; channels last, as Keras has them. TensorFlow computes in float32."""
    pools = {pool["name"]: tuple(pool["kernel"]) for pool in case["pools"]}
    inputs, outputs, data = [], [], []
    for layer in case["layers"]:
        entering = arrays[f"{layer['pool'] or layer['name']}/entering"].astype(np.float32)
        if entering.ndim == 5:
            entering = np.moveaxis(entering, 2, -1)
        x = tf.keras.Input(entering.shape[1:])
        inputs.append(x)
        data.append(entering if layer["image"] else entering / STEP)
        if layer["pool"] is not None:
            x = tf.keras.layers.TimeDistributed(tf.keras.layers.AveragePooling2D(pools[layer["pool"]]))(x)
        if layer["pool"] is not None and layer["flatten"]:
            x = tf.keras.layers.TimeDistributed(tf.keras.layers.Flatten())(x)
        outputs.append(tf.keras.layers.TimeDistributed(_layer(layer, arrays[f"{layer['name']}/weight"]))(x))
    for neurons in case["neurons"]:
        x = tf.keras.Input((case["steps"], *neurons["shape"]))
        inputs.append(x)
        data.append(np.zeros((case["images"], case["steps"], *neurons["shape"]), np.float32))
        outputs.append(keras_spiking.SpikingActivation("relu")(x))
    energy = keras_spiking.ModelEnergy(tf.keras.Model(inputs, outputs), example_data=data)
    return {"joules": float(energy.total_energy("loihi", timesteps_per_inference=case["steps"], dt=STEP))}


def _layer(description: Case, weight: np.ndarray) -> tf.keras.layers.Layer:
    if description["kind"] == "affine":
        return tf.keras.layers.Dense(weight.shape[0])
    padding = "same" if any(description["padding"]) else "valid"
    return tf.keras.layers.Conv2D(
        weight.shape[0], weight.shape[2:], tuple(description["stride"]), padding, groups=description["groups"]
    )


if __name__ == "__main__":
    work(count)
