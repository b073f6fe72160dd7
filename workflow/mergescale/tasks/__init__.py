"""Tasks: datasets with their prompts, choices and metric, from three sources.

A `Task` (module `task`) has a name, a kind (`rank` or `generate`), a metric, and a function that
returns the `Example`s of a split: rendered prompts with their answers.

Where tasks come from:

- `micro_world/`: a synthetic world with stand-ins for the study's datasets, a pre-training corpus
  and an instruction mixture;
- `public/`: the public datasets, with rows of a local folder or of the Hugging Face hub, and their
  own prompt templates or those of `promptsource/`;
- `mixtures/`: instruction mixtures from a folder or the hub.

`sources` is the entrance: it loads the tasks, mixture or corpus that the configuration names.
`rows` reads files of rows, `example_files` writes and reads the study's own files, and
`ngram_overlap` finds texts that share a run of words.

Who calls it: the stages `task`, `mixture`, `corpus` and `tokenizer` write files from it; training
and evaluation read those files (`example_files`) and see no source.
"""
