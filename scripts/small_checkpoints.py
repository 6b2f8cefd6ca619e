"""What an image needs to become a shape, of trained runs in the store, in half precision: small enough to be carried.

python scripts/small_checkpoints.py FOLDER --dataset procedural13-300 --megabytes 58

The encoders of texture and pose, half of a network at profile paper, stay behind, and so does the optimiser. Half
precision keeps eleven bits of a weight. ``load`` makes a network again, whose texture and pose are as before training.
"""

from pathlib import Path

import click
import torch

from msrn import paths
from msrn.__main__ import main
from msrn.errors import MsrnError
from msrn.network import MSRN
from msrn.profiles import make_settings
from msrn.store.checkpointing import load_state, params_of
from msrn.training.runs import list_runs

BEHIND = (
    "texture_encoder", "texture_head", "texture_decoder", "live_texture", "pose_encoder", "probability_head",
    "angle_head", "translation_head",
)  # fmt: skip
ORDER = "M-SRN", "w/o NC", "w/o FC"  # of value


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dataset", required=True, help="Of whose runs.")
@click.option("--megabytes", type=float, default=58, show_default=True, help="Room in FOLDER, what is there included.")
def small_checkpoints(folder: Path, dataset: str, megabytes: float) -> None:
    """Write what shapes need of finished runs into FOLDER, by seed and row, as long as there is room."""
    room = megabytes * 1e6 - sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    done = [run for run in list_runs() if run["readable"] and run["step"] == run["steps"] and run["variant"] in ORDER]
    done = [run for run in done if run["name"].startswith(f"{dataset}-seed")]
    for run in sorted(done, key=lambda run: (run["seed"], ORDER.index(run["variant"]))):
        words = f"{run['variant']}, seed {run['seed']}, {run['steps']:,} steps"
        file = folder / f"{run['name']}.pt"
        torch.save(shrunk(paths.runs_folder() / run["name"]), file)
        size = file.stat().st_size
        if size > room:
            file.unlink()
            click.echo(f"{words}: {size / 1e6:.1f} MB do not fit into {megabytes:g}")
            continue
        room -= size
        click.echo(f"{words}: {file.name}, {size / 1e6:.1f} MB")


def shrunk(run: Path) -> dict:
    """Settings and number of categories of a finished run, and the tensors behind its shapes in half precision."""
    state, params = load_state(run), params_of(run)
    kept = {name: value for name, value in state["network"].items() if name.split(".")[0] not in BEHIND}
    half = {name: value.half() if value.is_floating_point() else value for name, value in kept.items()}
    return {
        "settings": params["settings"],
        "categories": len(params["categories"]),
        "compensating": state["compensating"],
        "network": half,
    }


def load(file: Path) -> MSRN:
    """The network in ``file``, in single precision on the CPU, ready to make shapes."""
    content = torch.load(file, map_location="cpu", weights_only=True)
    network = MSRN(make_settings(content["settings"]), content["categories"])
    unknown = network.load_state_dict(content["network"], strict=False).unexpected_keys
    if unknown:
        raise MsrnError(f"{file}: {unknown[0]} is no part of the network that msrn has now; train the run again")
    network.compensating = content["compensating"]
    return network.eval()


if __name__ == "__main__":
    main(small_checkpoints)
