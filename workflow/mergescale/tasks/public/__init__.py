"""Tasks of public datasets, with rows from a local folder or from the Hugging Face hub.

- `datasets/`: one file declares one dataset: columns, labels, prompt templates;
- `dataset`: the type of such a declaration;
- `row_files`: finds the files of each split, in a folder or on the hub;
- `splits`: checks rows, and divides them into train, validation and test;
- `prompt_templates`: renders rows as examples;
- `public_task`: all of this together as a `Task`.
"""
