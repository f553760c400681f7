"""The edge: files and frameworks. Nothing below this layer knows a file format or transformers."""
