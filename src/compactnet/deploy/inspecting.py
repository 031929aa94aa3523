"""The operations in an exported file, as an `ExportReport` shows them."""

from collections import Counter


def inspect_file(path, format):
    """Return the counts of operations that a report has."""
    if format == "litert":
        return _inspect_litert(path)
    if format == "onnx":
        import onnx

        names = Counter(node.op_type for node in onnx.load(path).graph.node)
    elif format == "openvino":
        import openvino

        ignored = ("Parameter", "Constant", "Result", "Convert")
        operations = openvino.Core().read_model(path).get_ops()
        names = Counter(one.get_type_name() for one in operations if one.get_type_name() not in ignored)
    else:
        import tensorflow as tf

        library = tf.saved_model.load(path).signatures["serving_default"].graph.as_graph_def().library
        ignored = ("Placeholder", "Const", "ReadVariableOp", "Identity", "NoOp", "StatefulPartitionedCall")
        names = Counter(one.op for function in library.function for one in function.node_def if one.op not in ignored)
    return {
        "operations": dict(names.most_common()),
        "partitions": None,
        "not_delegated": None,
        "transposes": names["Transpose"],
    }


def _inspect_litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    steps = interpreter._get_ops_details()
    delegates = [step for step in steps if step["op_name"] == "DELEGATE"]
    names = Counter(step["op_name"] for step in steps if step["op_name"] != "DELEGATE")
    # What runs is found from the outputs backwards: a tensor comes from a part that XNNPACK took, or from an operation.
    maker = {int(tensor): step for step in [*steps, *delegates] for tensor in step["outputs"]}
    waiting = [int(details["index"]) for details in interpreter.get_output_details()]
    outside, seen = Counter(), set()
    while waiting:
        step = maker.get(waiting.pop())
        if step is None or step["index"] in seen:
            continue
        seen.add(step["index"])
        outside[step["op_name"]] += step["op_name"] != "DELEGATE"
        waiting += [int(tensor) for tensor in step["inputs"]]
    return {
        "operations": dict(names.most_common()),
        "partitions": len(delegates),
        "not_delegated": dict((+outside).most_common()),
        "transposes": names["TRANSPOSE"],
    }
