"""Model folders on disk: safetensors offsets, reading, writing, fetching, and adopting them."""
