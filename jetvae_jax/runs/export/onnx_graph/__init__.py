"""JAX functions as graphs of ONNX operators.

``conversion.model`` converts a function; ``operators`` says what each primitive is;
``graph`` holds the graph while it is built.
"""
