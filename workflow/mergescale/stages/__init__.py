"""The stages of a study: each turns files into files, and is one `mergescale` command."""
