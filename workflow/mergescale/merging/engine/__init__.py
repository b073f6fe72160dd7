"""The merge engine: merges model folders of any size within a fixed amount of memory."""
