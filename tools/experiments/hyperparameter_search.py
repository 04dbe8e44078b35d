"""A search for good hyper-parameters, which the paper had no time for (section 6.1, proposal 2).

    python tools/experiments/hyperparameter_search.py --corpus CORPUS [--work FOLDER]

CORPUS is a folder made by `cmc corpus --bach`. Optuna's TPE sampler proposes; each trial hears as
much music as every other, in four parts, and is pruned where after one of them it is worse than the
median of those before. Two trials are given: what this package takes unasked, and the paper's
network. As many processes as cores work on one study, whose journal lies in --work: the same
command goes on where it was stopped, and on more machines if they share the folder. What a trial
minimises is nats per frame on held-out music, up to a constant that all trials share.

Results: tools/experiments/hyperparameter_search.json. --small does the same within a minute to four
short pieces, and means nothing.
"""

import argparse
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

from bach_corpus import SMALL_JUDGED, small_corpus
from beyond_the_paper import music_of, one_thread

from cmc_helpers import corpora, runs, training
from cmc_helpers.analysis import evaluation, likelihood
from cmc_helpers.corpora import building
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.provenance import provenance, write
from cmc_helpers.terminal import quiet_tensorflow, terminal_progress

COMMAND = "python tools/experiments/hyperparameter_search.py --corpus CORPUS"
PARTS = 4  # of a training, after each of which it may be pruned
GIVEN = {
    "this package": dict(stack="residual", layers=3, units=128, components=10, frames=1)
    | dict(learning_rate=2e-3, input_noise=0.1, steps=128),
    "the paper": dict(stack="paper", layers=5, units=100, components=10, frames=1)
    | dict(learning_rate=2e-3, input_noise=0.01, steps=128),
}
FULL = SimpleNamespace(
    trials=16,
    frames=409_600,
    batch_frames=4096,
    workers=building.usable_cpus(),
    clips=24,
    seconds=30,
    judged=evaluation.JUDGED,
    most=(5, 192),
)
SMALL = SimpleNamespace(
    trials=3,
    frames=4096,
    batch_frames=256,
    workers=1,
    clips=2,
    seconds=SMALL_JUDGED + 1,
    judged=SMALL_JUDGED,
    most=(1, 32),
)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", help="a folder made by cmc corpus --bach")
    parser.add_argument("--work", default="runs/hyperparameter_search", help="the study's journal")
    parser.add_argument("--small", action="store_true", help="a minute instead of an hour")
    parser.add_argument("--output", default=Path(__file__).with_suffix(".json"), type=Path)
    given = parser.parse_args(arguments)
    if not (given.small or given.corpus):
        parser.error("give --corpus, or --small")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary if given.small else given.work)
        work.mkdir(parents=True, exist_ok=True)
        if given.small:
            small_corpus(work)
        size = SMALL if given.small else FULL
        data = Path(work / "corpus" if given.small else given.corpus)
        write(given.output, provenance(COMMAND) | search(data, size, work))


def study_in(work, seed=0):
    """The study whose journal lies in `work`, made if there is none."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(work / "journal.log"))),
        study_name="hyperparameters",
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=6),
        load_if_exists=True,
    )


def search(data, size, work):
    """Bring the study to `size.trials` trials, and describe it.

    Trials that a kill left half done are done again.
    """
    import optuna

    study = study_in(work)
    if not study.trials:
        for settings in given_trials(size).values():
            study.enqueue_trial(settings)
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    context = get_context("spawn")
    pool = ProcessPoolExecutor(size.workers, context, initializer=one_thread)
    with pool, terminal_progress("Searching") as progress:
        waiting = [pool.submit(work_on, data, size, work, n) for n in range(size.workers)]
        while not all(future.done() for future in waiting):
            progress(min(finished(study), size.trials), size.trials, "trials")
            time.sleep(1)
        for future in waiting:
            future.result()
        return pool.submit(described, work, size, data).result()


def given_trials(size):
    """`GIVEN`, in miniature where all is."""
    layers, units = size.most
    return {
        name: given | dict(layers=min(given["layers"], layers), units=min(given["units"], units))
        for name, given in GIVEN.items()
    }


def finished(study):
    """How many trials came to an end, by themselves or pruned."""
    return sum(trial.state.name in ("COMPLETE", "PRUNED") for trial in study.get_trials(False))


def work_on(data, size, work, number):
    """Make trials until there are enough of them."""
    corpus = corpora.load_corpus(data)
    study = study_in(work, seed=number + finished(study_in(work)))
    quiet_tensorflow()
    while finished(study) + size.workers - 1 < size.trials or not finished(study):
        study.optimize(lambda trial: nats(trial, corpus, size, work), n_trials=1)


def nats(trial, corpus, size, work):
    """Train as the trial proposes; the lowest held-out loss. Raises TrialPruned."""
    import optuna

    proposed = propose(trial, *size.most)
    steps, frames = proposed.pop("steps"), proposed["frames"]
    chosen = {name: proposed.pop(name) for name in ("learning_rate", "input_noise")}
    batch = max(1, size.batch_frames // (steps * frames))
    network = NetworkConfig(corpus.width, **proposed)
    batches = size.frames // (PARTS * batch * steps * frames)
    config = training.TrainingConfig(
        epochs=PARTS, batches_per_epoch=batches, batch=batch, steps=steps, **chosen
    )
    folder = work / f"trial_{trial.number}"
    shutil.rmtree(folder, ignore_errors=True)
    normaliser = training.fit_normaliser(corpus, frames)

    def told():
        losses = runs.read_history(folder / runs.HISTORY)["validation_loss"]
        return [in_features(loss, normaliser, frames) for loss in losses]

    def prune(done, total, message):
        part = done // batches  # the history of a part is written before the next one begins
        if done % batches == 1 and done > 1 and len(losses := told()) == part:
            trial.report(losses[-1], part)
            if trial.should_prune():
                raise optuna.TrialPruned

    try:
        training.train(corpus, folder, network, config, progress=prune)
    except optuna.TrialPruned:
        shutil.rmtree(folder)
        raise
    losses = told()
    trial.report(losses[-1], PARTS)
    return min(losses)


def in_features(loss, normaliser, frames):
    """Nats per frame in normalised units → in those of the features, which all networks share."""
    return loss - normaliser.log_volume / frames


def propose(trial, layers=FULL.most[0], units=FULL.most[1]):
    """What is searched: the network's shape, up to so many layers and units, and its training."""
    return dict(
        stack=trial.suggest_categorical("stack", ["residual", "paper"]),
        layers=trial.suggest_int("layers", 1, layers),
        units=trial.suggest_int("units", 32, units, log=True),
        components=trial.suggest_int("components", 1, 20, log=True),
        frames=trial.suggest_categorical("frames", [1, 2, 4]),
        learning_rate=trial.suggest_float("learning_rate", 3e-4, 2e-2, log=True),
        input_noise=trial.suggest_float("input_noise", 0.01, 0.5, log=True),
        steps=trial.suggest_categorical("steps", [32, 64, 128, 256]),
    )


def described(work, size, data):
    """Every trial that came to an end, what Optuna says mattered, and what some of them make."""
    import optuna

    study, corpus = study_in(work), corpora.load_corpus(data)
    quiet_tensorflow()
    whole = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    shown = {
        name: next(trial.number for trial in whole if trial.params == settings)
        for name, settings in given_trials(size).items()
    }
    shown["the best"] = study.best_trial.number
    kept = {name: runs.load(work / f"trial_{number}") for name, number in shown.items()}
    ended = [trial for trial in study.get_trials() if trial.state.name in ("COMPLETE", "PRUNED")]
    importance = {}
    if len(whole) > 3:
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
        )
        importance = {name: round(float(share), 3) for name, share in found.items()}
    return {
        "frames_heard": size.frames,
        "shown": {
            name: {"trial": shown[name], "nats": round(likelihood.held_out(run, corpus), 2)}
            | music_of(run, corpus, size)
            for name, run in kept.items()
        },
        "importance": importance,
        "trials": [
            {
                "number": trial.number,
                "pruned": trial.state.name == "PRUNED",
                "seconds": round(trial.duration.total_seconds()),
                "nats": [round(value, 2) for value in trial.intermediate_values.values()],
                **{
                    name: float(f"{value:.3g}") if isinstance(value, float) else value
                    for name, value in trial.params.items()
                },
            }
            for trial in ended
        ],
    }


if __name__ == "__main__":
    main()
