"""The public datasets; one file declares one dataset, named like the file, as `DATASET`.

A file is found by being here; there is no list to add it to.
"""

from __future__ import annotations

from pkgutil import iter_modules

from mergescale.plugins import PluginError, load_plugin
from mergescale.tasks.public.dataset import Dataset


def _load(name: str) -> Dataset:
    """The dataset that a module of this package declares."""
    dataset = load_plugin(__name__, name).DATASET
    if dataset.name != name:
        raise PluginError(
            f"workflow/mergescale/tasks/public/datasets/{name}.py declares the dataset "
            f"{dataset.name!r}; give the file and the dataset the same name"
        )
    return dataset


DATASETS: dict[str, Dataset] = {
    module.name: _load(module.name) for module in iter_modules(__path__)
}
