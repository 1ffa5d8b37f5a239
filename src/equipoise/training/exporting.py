"""From a trained network to one ONNX file, written operator by operator.

By hand rather than by torch's exporter: that one writes where the code lay on the maker's machine
into the file, and needs a newer reader. Ours is small, the same bytes for the same weights, and
read by every onnxruntime since 1.18. Normalisation is folded into the convolutions before it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from equipoise.training.networks import AROUND, STANDS_OUT, Block, Network

OPSET = 17
"""Of ONNX; 1.12 of 2022, with version 8 of the file format."""
_FORMAT = 8
SOURCE, OUTPUT = "images", "embedding"

Singles = npt.NDArray[np.float32]


def embedded(encoder: Network, images: Singles, *, batch: int = 64) -> Singles:
    """Return vectors ``(n, d)`` of normalised images ``(n, 1, size, size)``, by torch.

    Examples
    --------
    >>> from equipoise.training.plans import Architecture
    >>> encoder = Network(Architecture()).train(mode=False)
    >>> embedded(encoder, np.zeros((2, 1, 64, 64), np.float32)).shape
    (2, 192)
    """
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), batch):
            found = encoder(torch.from_numpy(images[start : start + batch]))
            parts.append(found.float().numpy())
    return np.concatenate(parts)


def exported(encoder: Network, *, size: int) -> bytes:
    """Return the ONNX file of an encoder: float32 ``(batch, 1, size, size)`` in, vectors out.

    Parameters
    ----------
    encoder
        In evaluation mode, on the CPU.
    size
        Height and width of its input (pixels).

    Examples
    --------
    >>> from equipoise.training.plans import Architecture
    >>> len(exported(Network(Architecture()).train(mode=False), size=64)) < 2_000_000
    True
    """
    from onnx import TensorProto, checker, helper

    graph = _Graph()
    side = AROUND
    around = graph.node(
        "AveragePool",
        [SOURCE],
        kernel_shape=[side] * 2,
        pads=[side // 2] * 4,
        count_include_pad=0,
    )
    differs = graph.node("Sub", [SOURCE, around])
    factor = graph.constant(np.float32(STANDS_OUT))
    both = graph.node("Concat", [SOURCE, graph.node("Mul", [differs, factor])], axis=1)
    maps = graph.node("Relu", [graph.convolution(both, encoder.stem, encoder.stem_norm)])
    for block in encoder.stages:
        if isinstance(block, Block):
            maps = graph.block(maps, block)
    pooled = [
        graph.node(f"Reduce{how}", [maps], axes=[2, 3], keepdims=0) for how in ("Mean", "Max")
    ]
    graph.node("Concat", pooled, axis=1, output=OUTPUT)
    dimension = 2 * _last_width(encoder)
    made = helper.make_graph(
        graph.nodes,
        "encoder",
        [helper.make_tensor_value_info(SOURCE, TensorProto.FLOAT, ["batch", 1, size, size])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", dimension])],
        graph.weights,
    )
    model = helper.make_model(
        made, producer_name="equipoise", opset_imports=[helper.make_opsetid("", OPSET)]
    )
    model.ir_version = _FORMAT
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """Nodes and weights as they are added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(
        self, operator: str, sources: Sequence[str], *, output: str = "", **attributes: Any
    ) -> str:
        """Add an operator and return the name of what it gives."""
        from onnx import helper

        name = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(sources), [name], **attributes))
        return name

    def constant(self, values: npt.NDArray[np.float32] | np.float32) -> str:
        """Add weights and return their name."""
        from onnx import numpy_helper

        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def convolution(self, source: str, layer: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
        """Add a convolution with the normalisation after it folded in."""
        kernel, offset = _folded(layer, norm)
        pad, side = int(layer.padding[0]), int(layer.kernel_size[0])
        return self.node(
            "Conv",
            [source, self.constant(kernel), self.constant(offset)],
            kernel_shape=[side, side],
            strides=list(layer.stride),
            pads=[pad] * 4,
        )

    def block(self, source: str, block: Block) -> str:
        """Add a residual block."""
        first = self.node("Relu", [self.convolution(source, block.first, block.first_norm)])
        second = self.convolution(first, block.second, block.second_norm)
        cut = source
        if isinstance(block.cut, nn.Sequential):
            pool, layer, norm = block.cut
            if isinstance(pool, nn.AvgPool2d):
                side = int(block.first.stride[0])
                cut = self.node("AveragePool", [cut], kernel_shape=[side] * 2, strides=[side] * 2)
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                cut = self.convolution(cut, layer, norm)
        return self.node("Relu", [self.node("Add", [second, cut])])


def _folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Singles, Singles]:
    def exact(tensor: torch.Tensor | None) -> npt.NDArray[np.float64]:
        return np.zeros(0) if tensor is None else tensor.detach().double().numpy()

    factor = exact(norm.weight) / np.sqrt(exact(norm.running_var) + norm.eps)
    kernel = exact(layer.weight) * factor[:, None, None, None]
    offset = exact(norm.bias) - exact(norm.running_mean) * factor
    return kernel.astype(np.float32), offset.astype(np.float32)


def _last_width(encoder: Network) -> int:
    last = encoder.stages[-1]
    return last.second.out_channels if isinstance(last, Block) else encoder.stem.out_channels
