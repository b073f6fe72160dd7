"""From scores to normalized performance and tables; nothing here draws."""
