"""What is told on standard error while work goes on: a line, a bar for a training, a bar for any other work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from kadapter.processes import is_first


def tell(line: str) -> None:
    """Print a line, in the first process."""
    Console(quiet=not is_first(), stderr=True, soft_wrap=True).print(line, markup=False, highlight=False)


@contextmanager
def stepping(title: str, steps: int) -> Iterator[Callable[[], None]]:
    """Show a bar for so many steps, in the first process, none when there are none; gives what is called after each."""
    with _bar(disable=not steps or not is_first()) as bar:
        task = bar.add_task(title, total=steps)
        yield lambda: bar.update(task, advance=1)


def _bar(**options: Any) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), **options)


class TrainingBar(TrainerCallback):
    """Shows step, loss and the best validation score while a Trainer trains; only in the first process."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bar: Progress | None = None
        self.task = TaskID(0)
        self.told: dict[str, str] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Show the bar, at the step from which training goes on."""
        if state.is_world_process_zero:
            self.bar = _bar()
            self.task = self.bar.add_task(self.title, total=state.max_steps, completed=state.global_step)
            self.bar.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move on."""
        if self.bar:
            self.bar.update(self.task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show the newest loss and the newest validation score."""
        score = f"eval_{str(args.metric_for_best_model).removeprefix('eval_')}"
        for key, label in (("loss", "loss"), (score, "validation")):
            if logs and key in logs:
                self.told[label] = f"{label} {float(logs[key]):.3f}"
        if self.bar:
            self.bar.update(self.task, description=", ".join([self.title, *self.told.values()]))

    def stop(self) -> None:
        """Leave the bar standing as it is, and give the terminal its cursor back."""
        if self.bar:
            self.bar.stop()
            self.bar = None
