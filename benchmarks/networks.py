"""Networks of a foundation model's shape with weights at random: for times, never for results."""

from pathlib import Path

import numpy as np

SIDE, PATCH, WIDTH, BLOCKS = 224, 16, 384, 12


def vit_small(path: Path) -> dict[str, object]:
    """Write an ONNX file of the shape of ViT-S/16 (22 M weights, float32), and return its card.

    Attention has one head in place of six: the same products, fewer reshapes.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    nodes, weights = [], []

    def weight(*shape: int) -> str:
        name = f"w{len(weights)}"
        values = rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    def vector(values: np.ndarray) -> str:
        name = f"w{len(weights)}"
        weights.append(numpy_helper.from_array(values, name))
        return name

    def node(kind: str, *inputs: str, **said: object) -> str:
        name = f"n{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], **said))
        return name

    def normal(x: str) -> str:
        return node("LayerNormalization", x, vector(np.ones(WIDTH, np.float32)))

    kernel = rng.normal(0, 0.03, (WIDTH, 3, PATCH, PATCH)).astype(np.float32)
    x = node("Conv", "images", vector(kernel), strides=[PATCH, PATCH])
    x = node("Reshape", x, vector(np.array([0, WIDTH, -1], np.int64)))
    x = node("Transpose", x, perm=[0, 2, 1])
    small = vector(np.array(WIDTH**-0.5, np.float32))
    for _ in range(BLOCKS):
        y = normal(x)
        q, k, v = (node("MatMul", y, weight(WIDTH, WIDTH)) for _ in range(3))
        scores = node("MatMul", q, node("Transpose", k, perm=[0, 2, 1]))
        mixed = node("MatMul", node("Softmax", node("Mul", scores, small), axis=-1), v)
        x = node("Add", x, node("MatMul", mixed, weight(WIDTH, WIDTH)))
        y = node("Relu", node("MatMul", normal(x), weight(WIDTH, 4 * WIDTH)))
        x = node("Add", x, node("MatMul", y, weight(4 * WIDTH, WIDTH)))
    nodes.append(helper.make_node("ReduceMean", [normal(x)], ["embedding"], axes=[1], keepdims=0))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    answer = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", WIDTH])
    graph = helper.make_graph(nodes, "vit", [images], [answer], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return {
        "name": "vit-small-shape",
        "layout": "NCHW",
        "height": SIDE,
        "width": SIDE,
        "channels": 3,
        "value_range": "minus_one_one",
        "output": "embedding",
        "dimension": WIDTH,
        "licence": "Apache-2.0",
        "notes": "weights at random: for times only",
    }
