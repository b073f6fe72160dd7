"""The micro world: a small synthetic world with stand-ins for all 23 datasets of the study.

`world`, `lexicon` and `knowledge` hold what there is to know; everything else is text about it:

- `corpus`: pre-training documents, from the passages of `passages_people` and `passages_common`;
- `evaluation/`: the stand-ins for the study's datasets, one file per category;
- `mixture/`: the tasks of the instruction mixture, none of which is an evaluation task;
- `showcase`: writes docs/micro_world.md.

Every text is a function of a seed; the standard library is all that is needed.
"""
