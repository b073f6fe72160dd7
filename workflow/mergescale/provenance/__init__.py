"""Where a result comes from: digests of files and code, versions, atomic writes."""
