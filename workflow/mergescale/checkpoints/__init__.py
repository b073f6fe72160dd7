"""Model folders on disk: safetensors headers, reading and writing in blocks, downloads."""
