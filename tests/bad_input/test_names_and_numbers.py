"""Names that do not exist, and numbers that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

CONVERT = (
    "convert",
    "nets.py:tiny",
    "--weights",
    "tiny.pt",
    "--data",
    "digits",
    "--method",
    "rate",
    "-o",
    "x.ndn",
)
EVALUATE = ("evaluate", "nets.py:tiny", "--weights", "tiny.pt", "--data", "digits")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("comvert",), "did you mean 'convert'"),
        (("compile", "net8.ndn", "--target", "brain2", "-o", "x"), "did you mean 'brian2'"),
        (
            ("compile", "net8.ndn", "--target", "brian2", "--board", "loihi7", "-o", "x"),
            "unknown board 'loihi7'",
        ),
        (("boards", "loihi7"), "unknown board"),
        (
            ("energy", "net8.ndn", "--board", "brian2", "--data", "digits"),
            "unknown board 'brian2': that is a target, which runs on boards; known: kapoho",
        ),
        ((*CONVERT, "--method", "rate", "--timesteps", "1000000"), "at most 65536; what is left"),
        (("energy", "net8.ndn", "--board", "lohi1", "--data", "digits"), "mean 'loihi1'"),
        (("quantize", "net.ndn", "--fit", "trunorth", "-o", "x.ndn"), "unknown board"),
        ((*CONVERT, "--method", "ratte"), "did you mean 'rate'"),
        (("verify", "brian", "--against", "referenz", "--data", "digits"), "unknown executor"),
        ((*CONVERT, "--data", "mnis:here"), "unknown data set kind"),
        ((*CONVERT, "--data", "digits@validation"), "unknown split"),
        ((*CONVERT, "--data", "digits#frist=3"), "unknown option"),
        ((*CONVERT, "--input", "curent"), "poisson, rate, spikes; did you mean 'current'"),
        (("boards", "nets.py"), "nets.py: unknown board or not a TOML file"),
        (("energy", "missing", "--board", "loihi1", "--data", "digits"), "deployment folder"),
        ((*CONVERT, "--normalization", "median"), "known: balance, max, mse, percentile"),
        ((*CONVERT, "--scope", "neuron"), "neuron"),
        ((*CONVERT, "--reset", "soft"), "reset 'soft'"),
        ((*CONVERT, "--decode", "first"), "decode 'first'"),
        ((*CONVERT, "--max-pooling", "none"), "known: exact, identity"),
        ((*CONVERT, "--average-pooling", "none"), "known: auto, fold, spiking"),
        ((*CONVERT, "--set", "leak=1"), "method rate: no option 'leak'"),
        ((*CONVERT, "--set", "leak"), "expected key=value"),
        ((*CONVERT, "--no-such"), "No such option"),
        (
            ("compile", "net8.ndn", "--target", "brian2", "--option", "threads=2", "-o", "x"),
            "no option 'threads'",
        ),
        (
            ("compile", "net8.ndn", "--target", "brian2", "--option", "codegen=c", "-o", "x"),
            "expected one of",
        ),
        (
            ("compile", "net8.ndn", "--target", "brian2", "--option", "max_synapses=a", "-o", "x"),
            "max_synapses='a'",
        ),
        (("quantize", "net.ndn", "--weight-bits", "conf1=4", "-o", "x.ndn"), "unknown layer"),
        (
            ("convert", "nets.py:tini", "--data", "digits", "--method", "rate", "-o", "x.ndn"),
            "did you mean 'tiny'",
        ),
        (
            ("convert", "nots.py:tiny", "--data", "digits", "--method", "rate", "-o", "x.ndn"),
            "nots.py",
        ),
        (
            ("convert", "nets.py", "--data", "digits", "--method", "rate", "-o", "x.ndn"),
            "file.py:factory",
        ),
    ],
)
def test_an_unknown_name(refused, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*CONVERT, "--timesteps", "0"), "timesteps 0: at least 1"),
        ((*CONVERT, "--timesteps", "-4"), "timesteps -4"),
        ((*CONVERT, "--timesteps", "many"), "'many'"),
        ((*EVALUATE, "--timesteps", "4,0"), "timesteps 0: at least 1"),
        ((*EVALUATE, "--timesteps", "4,,8"), "expected whole numbers"),
        ((*EVALUATE, "--timesteps", "4,4"), "given twice"),
        (("evaluate", "net.ndn", "--data", "digits", "--weight-bits", "4"), "--weight-bits is for"),
        (("evaluate", "net.ndn", "--data", "digits", "--timesteps", "8"), "--timesteps out"),
        ((*CONVERT, "--calibration-samples", "0"), "at least 1"),
        ((*CONVERT, "--input-levels", "0"), "expected 1 to 65535"),
        ((*CONVERT, "--percentile", "101"), "percentile 101"),
        ((*CONVERT, "--percentile", "most"), "--percentile 'most': expected a number"),
        ((*CONVERT, "--percentile", "nan"), "percentile nan"),
        ((*CONVERT, "--initial-membrane", "1.5"), "initial membrane 1.5"),
        ((*CONVERT, "--seed", "-1"), "--seed"),
        (("quantize", "net.ndn", "--weight-bits", "1", "-o", "x.ndn"), "expected 2 to 8"),
        (("quantize", "net.ndn", "--weight-bits", "16", "-o", "x.ndn"), "expected 2 to 8"),
        (("quantize", "net.ndn", "--weight-bits", "eight", "-o", "x.ndn"), "'eight' is no width"),
        (("quantize", "net.ndn", "--weight-bits", "8,4", "-o", "x.ndn"), "'4' is no width"),
        (("quantize", "net.ndn", "--weight-bits", "relu_1=", "-o", "x.ndn"), "is no width"),
        (("quantize", "net.ndn", "--threshold-bits", "99", "-o", "x.ndn"), "threshold_bits 99"),
        (("quantize", "net.ndn", "--state-bits", "7", "-o", "x.ndn"), "expected 8 to 24"),
        (("run", "brian", "--data", "digits", "--samples", "0"), "--samples"),
        (("run", "brian", "--data", "digits", "--samples", "100000"), "of 355 samples"),
        (("run", "brian", "--data", "digits#first=0"), "first=0"),
        (("verify", "brian", "--against", ",", "--data", "digits"), "at least one executor"),
    ],
)
def test_a_number_that_makes_no_sense(refused, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused(*arguments)


def test_a_method_option_of_another_type_is_told_with_set_as_well(refused) -> None:
    assert "--percentile" in refused(*CONVERT, "--set", "percentile=much")


def test_no_calibration_on_test_images(refused) -> None:
    assert "training images only" in refused(*CONVERT, "--data", "digits@test")


def test_an_npz_file_cannot_calibrate_what_it_evaluates(refused, workshop: Path) -> None:
    import numpy as np

    x = np.zeros((4, 1, 8, 8), dtype=np.float32)
    np.savez(workshop / "data.npz", x=x, y=np.arange(4))
    line = refused(*EVALUATE[:-1], "data.npz", "--timesteps", "4")
    assert "no training split" in line
