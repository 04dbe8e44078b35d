"""Residuals: what a network did not foresee, kept, and drawn in place of Gaussian noise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_generation import untrained

from cmc_helpers import generation, mixtures, residuals, runs
from cmc_helpers.networks import NetworkConfig
from cmc_helpers.residuals import COUNT, LIKE, NEAR, STRETCH, Residuals, collect

PIECES = [
    np.random.default_rng(i).normal(size=(n, 8)).astype(np.float32)
    for i, n in enumerate([900, 640, 50])
]


@pytest.fixture(scope="module", params=[(1, False), (4, True)])
def run(request):
    frames, scaled = request.param
    return untrained(
        NetworkConfig(8, layers=2, units=8, components=3, frames=frames, feature_scales=scaled)
    )


@pytest.fixture(scope="module")
def bank(run):
    return collect(run, PIECES)


def heard_whole(run):
    """The pieces, from wherever the first step of several frames may begin."""
    return [piece[start:] for piece in PIECES[:2] for start in range(run.network.frames)]


@pytest.mark.slow
def test_a_residual_is_what_came_less_the_mean_of_the_best_component_in_its_sigma(run, bank):
    """The oracle: `foresee` hears whole pieces, and every residual is one of all those it gives."""
    every = []
    for piece in heard_whole(run):
        foreseen = generation.foresee(run, piece)
        came = run.normaliser.transform(
            piece[: len(piece) // run.network.frames * run.network.frames].reshape(
                -1, run.network.width
            )
        )
        for step in range(len(came) - 1):
            mixture = mixtures.Mixture(*(part[step] for part in foreseen.mixture))
            x = came[step + 1] / foreseen.scales[step]
            k = mixtures.component_log_densities(x, mixture).argmax()
            every.append((k, mixture.scales[k], *(x - mixture.means[k]) / mixture.scales[k]))
    every = np.array(every)
    kept = np.column_stack([bank.components, bank.scales, bank.vectors * residuals.UNIT])
    # Places begin from an empty memory: after 50 steps that no longer shows.
    nearest = [np.abs(every - one).max(axis=1).min() for one in kept[::50]]
    assert max(nearest) < residuals.UNIT / 2 + 0.01


@pytest.mark.slow
def test_a_bank_is_whole_and_the_same_for_the_same_seed(run, bank):
    assert bank.vectors.shape == (COUNT, run.network.width) and bank.vectors.dtype == np.int8
    again, other = collect(run, PIECES), collect(run, PIECES, seed=1)
    np.testing.assert_array_equal(bank.vectors, again.vectors)
    assert not np.array_equal(bank.vectors, other.vectors)


@pytest.mark.slow
def test_rows_of_one_place_are_steps_that_followed_each_other(run, bank):
    """The oracle: in what `foresee` says of a whole piece, they are neighbours, too."""
    assert np.bincount(bank.places).max() == STRETCH
    foreseen = [generation.foresee(run, piece).mixture for piece in heard_whole(run)]
    for row in range(0, COUNT, 1000 * STRETCH):
        stretch = slice(row, row + STRETCH)
        assert len(set(bank.places[stretch])) == 1
        far = []
        for mixture in foreseen:
            scales = mixture.scales[:, bank.components[stretch]]
            for start in range(len(scales) - STRETCH):
                those = scales[np.arange(start, start + STRETCH), np.arange(STRETCH)]
                far.append(np.abs(those / bank.scales[stretch] - 1).max())
        assert min(far) < 0.01 < np.median(far)


def window(components, scales, k, sigma):
    """The rows that may be drawn, one by one: NEAR / 2 below σ, NEAR / 2 from it on, and where one
    side has too few, more of the other."""
    rows = sorted(np.flatnonzero(components == k), key=lambda row: scales[row])
    below = [row for row in rows if scales[row] < sigma]
    above = [row for row in rows if scales[row] >= sigma]
    down = min(len(below), max(NEAR // 2, NEAR - len(above)))
    return below[len(below) - down :] + above[: NEAR - down]


@given(st.integers(1, 300), st.integers(1, 4), st.integers(0, 2**31), st.floats(0.01, 100))
def test_one_of_the_nearest_of_the_same_component_is_drawn_each_as_likely(n, K, seed, sigma):
    rng = np.random.default_rng(seed)
    components, scales = rng.integers(K, size=n), rng.permutation(n) * 0.3 + 0.1
    numbers = np.stack([np.arange(n) // 100, np.arange(n) % 100], axis=1).astype(np.int8)
    bank, k = Residuals(components, scales, numbers, np.arange(n)), components[0]
    uniforms = (np.arange(4 * NEAR) + 1) / (4 * NEAR)
    full = np.full(len(uniforms), k)
    last = rng.integers(-1, n, size=len(uniforms))  # of another place: it changes nothing
    drawn = bank.draw(full, np.full(len(uniforms), sigma), uniforms, last) / residuals.UNIT
    rows, counts = np.unique(drawn @ [100, 1], return_counts=True)
    assert set(rows.astype(int)) == set(window(components, scales, k, sigma))
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(drawn, numbers[last])


@given(st.integers(0, 2**31), st.floats(0.3, 3))
def test_the_next_row_of_a_place_follows_while_its_sigma_is_like_the_one_asked_for(seed, change):
    rng = np.random.default_rng(seed)
    n = 40
    places, scales = np.sort(rng.integers(10, size=n)), rng.uniform(0.5, 2, n)
    bank = Residuals(np.zeros(n, int), scales, np.zeros((n, 1), np.int8), places)
    before = np.arange(n - 1)
    wanted, uniforms = scales[before + 1] * change, 1 - rng.random(n - 1)
    last, fresh = before.copy(), np.full(n - 1, -1)
    bank.draw(np.zeros(n - 1, int), wanted, uniforms, last)
    bank.draw(np.zeros(n - 1, int), wanted, uniforms, fresh)
    for row in before:
        goes_on = places[row] == places[row + 1] and 1 / LIKE < change < LIKE
        assert last[row] == (row + 1 if goes_on else fresh[row])


def test_a_component_that_has_none_borrows():
    bank = Residuals(np.array([0, 2]), np.ones(2), np.array([[2], [4]], np.int8), np.arange(2))
    drawn = bank.draw(np.full(9, 1), np.ones(9), np.arange(1, 10) / 9, np.full(9, -1))
    assert set(drawn[:, 0]) == {1, 2}


def test_the_first_the_last_and_a_single_one_can_be_drawn():
    bank = Residuals(
        np.zeros(3, int),
        np.array([1.0, 2.0, 3.0]),
        np.array([[2], [4], [6]], np.int8),
        np.arange(3),
    )
    drawn = bank.draw(np.zeros(3, int), np.ones(3), np.array([1e-8, 0.5, 1.0]), np.full(3, -1))
    np.testing.assert_array_equal(drawn[:, 0], [1, 2, 3])
    one = bank.draw(np.array(0), np.array(9.0), np.array(1.0), np.array(-1))
    assert one.shape == (1,) and one[0] == 3


def test_they_take_the_place_of_gaussian_noise(run, bank):
    """With the means and σ of `foresee` as oracle: what is added is one of the bank."""
    keeping = replace(run, residuals=bank)
    quiet = generation.generate(keeping, run.network.frames, strategy="sample", sigma_scale=0.0)
    loud = generation.generate(
        keeping, run.network.frames, strategy="sample", sigma_scale=1.0, noise="residuals"
    )
    foreseen = generation.foresee(run, run.primer)
    added = run.normaliser.transform(loud.vectors.reshape(1, -1)) - run.normaliser.transform(
        quiet.vectors.reshape(1, -1)
    )
    k = loud.components[0, 0]
    assert k == quiet.components[0, 0]  # the same uniform number, whatever the noise
    residual = added[0] / foreseen.scales[-1] / foreseen.mixture.scales[-1, k]
    sigma = foreseen.mixture.scales[-1, k]
    near = window(bank.components, bank.scales, k, sigma) or slice(None)
    rows = (bank.vectors * residuals.UNIT)[near]
    np.testing.assert_allclose(np.abs(rows - residual).max(axis=1).min(), 0, atol=1e-3)
    assert not np.allclose(residual, 0)


def test_gaussian_numbers_stay_what_they_were(run, bank):
    keeping = replace(run, residuals=bank)
    one = generation.generate(run, 20, strategy="sample", seed=4).vectors
    np.testing.assert_array_equal(
        one, generation.generate(keeping, 20, strategy="sample", seed=4, noise="gaussian").vectors
    )
    drawn = generation.generate(keeping, 20, strategy="sample", seed=4, noise="residuals")
    among = generation.generate(
        keeping, 20, strategy="sample", seed=4, noise="residuals", sequences=3
    )
    np.testing.assert_allclose(drawn.vectors[0], among.vectors[0], atol=1e-4)
    assert not np.array_equal(drawn.vectors, one)
    quiet, still = (
        generation.generate(keeping, 20, strategy="sample", seed=4, noise=noise, sigma_scale=0.0)
        for noise in mixtures.NOISES
    )
    np.testing.assert_array_equal(quiet.vectors, still.vectors)  # the same choices


def test_a_run_without_any_says_so(run):
    with pytest.raises(ValueError, match="keeps no residuals .*`resume=True`$"):
        generation.generate(run, 5, strategy="sample", noise="residuals")
    alone = untrained(NetworkConfig(8, layers=1, units=8, components=0))  # and never will
    with pytest.raises(ValueError, match="choose gaussian noise$"):
        generation.generate(alone, 5, noise="residuals")


def test_what_cannot_be_collected():
    alone = untrained(NetworkConfig(8, layers=1, units=8, components=0))
    with pytest.raises(ValueError, match="^a network without a mixture has no σ"):
        collect(alone, PIECES)
    four = untrained(NetworkConfig(8, layers=1, units=8, components=2, frames=4))
    for pieces in ([], [PIECES[0][:11]]):
        with pytest.raises(ValueError, match="^no piece has 12 frames: give longer ones$"):
            collect(four, pieces)
    assert len(collect(four, [PIECES[0][:12]]).vectors) == COUNT


def test_residuals_far_below_sigma_are_stored_and_read_too(run, bank, tmp_path):
    """Thousands of zeros fit into a few bytes, as a hostile file's do."""
    silent = Residuals(bank.components, bank.scales, np.zeros_like(bank.vectors), bank.places)
    runs.write_residuals(tmp_path, silent)
    assert not runs.read_residuals(tmp_path, run.network).vectors.any()


def test_they_are_stored_without_loss(run, bank, tmp_path):
    runs.write_residuals(tmp_path, bank)
    read = runs.read_residuals(tmp_path, run.network)
    for name in ("components", "scales", "vectors", "places"):
        np.testing.assert_array_equal(getattr(read, name), getattr(bank, name))


@pytest.mark.parametrize(
    "damage",
    [
        dict(components=np.array([0, 3])),
        dict(components=np.array([-1, 0])),
        dict(components=np.array([0.0, 1.0])),
        dict(scales=np.array([0.0, 1.0], np.float32)),
        dict(scales=np.array([np.nan, 1.0], np.float32)),
        dict(scales=np.ones(3, np.float32)),
        dict(vectors=np.zeros((2, 7), np.int8)),
        dict(vectors=np.zeros((2, 8), np.float32)),
        dict(vectors=np.zeros((0, 8), np.int8)),
        dict(places=np.zeros(3, int)),
        dict(places=np.zeros(2)),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, damage):
    whole = dict(
        components=np.array([0, 1]),
        scales=np.ones(2, np.float32),
        vectors=np.zeros((2, 8), np.int8),
        places=np.zeros(2, int),
    )
    network = NetworkConfig(8, components=3)
    np.savez(tmp_path / runs.RESIDUALS, **whole)
    assert isinstance(runs.read_residuals(tmp_path, network), residuals.Residuals)
    np.savez(tmp_path / runs.RESIDUALS, **whole | damage)
    with pytest.raises(runs.RunError, match=f"{runs.RESIDUALS} is damaged or belongs to another"):
        runs.read_residuals(tmp_path, network)
    (tmp_path / runs.RESIDUALS).write_bytes(b"PK")
    with pytest.raises(runs.RunError, match=f"{runs.RESIDUALS} is damaged or belongs to another"):
        runs.read_residuals(tmp_path, network)
