"""From scores to normalised performance, tables and tidy files; nothing here draws."""
