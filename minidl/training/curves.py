"""The learning curves of a run, drawn with matplotlib."""

from pathlib import Path

from matplotlib.figure import Figure


def draw_curves(history: list[dict[str, float]], path: Path) -> None:
    """Loss and accuracy against the epoch, in training and validation, as a PNG at `path`."""
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for label, key in (("training", name), ("validation", f"validation_{name}")):
            if key in history[0]:
                axes.plot(epochs, [row[key] for row in history], marker="o", markersize=3, label=label)
        axes.set_xlabel("epoch")
        axes.set_title(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120, format="png")
