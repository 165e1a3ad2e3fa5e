"""JAX functions as graphs of ONNX operators.

``conversion.model`` converts a function; ``elementwise`` and ``arrays`` say what each
primitive is; ``graph`` holds the graph while it is built.
"""
