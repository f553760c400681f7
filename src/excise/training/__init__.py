"""Training-time parts: plain objects that drop into any loop."""
