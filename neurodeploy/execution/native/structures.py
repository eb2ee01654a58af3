"""The structures of ``engine.h``, field by field."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_int64, c_void_p


def _fields(*names: str) -> list[tuple[str, type]]:
    """Fields of a structure: pointers end in ``*``, everything else has 64 bits."""
    return [(n[:-1], c_void_p) if n.endswith("*") else (n, c_int64) for n in names]


class Link(ctypes.Structure):
    """``nd_link``."""

    _fields_ = _fields(
        *("kind", "source", "inner", "constant", "shift", "src_rows", "src_width", "src_channels"),
        *(
            "n_ranges",
            "ranges*",
            "most",
            "zero_row",
            "lanes",
            "rows*",
            "sums",
            "shift_all",
            "scale*",
        ),
        *("kernel_rows", "kernel_row*", "spread*", "spread_width", "spread_pad"),
        *("products*", "runs", "run_step", "pairs", "pixel_step"),
        *(
            "row_entries",
            "before",
            "written_from",
            "written*",
            "tiles*",
            "chunks",
            "is_signed",
            "digits",
        ),
        *("n_taps", "taps*", "group_in", "fan", "by_tap*"),
        *("from_begin*", "from_row*", "to_place*", "table", "same", "own*"),
        *("begin*", "to_pixel*", "to_channel*", "weight*", "silent*"),
    )


class Member(ctypes.Structure):
    """``nd_member``."""

    _fields_ = _fields(
        *("kind", "negated", "out", "binary", "rows", "width", "channels"),
        *("is_signed", "memory", "payload_max", "power_of_two", "reset", "keep_u", "keep_v"),
        *("spread", "by_channel", "bias*", "v0*", "theta*", "theta_neg*"),
        *("input_gain*", "firing_gain*", "comparison*", "extended", "refractory", "saturation"),
        *("keeps_u*", "keeps_v*", "reset_value*", "floor*", "n_cells", "four", "cells*"),
    )


class Stage(ctypes.Structure):
    """``nd_stage``."""

    _fields_ = _fields(
        *("rows", "width", "channels", "n_links", "n_members", "links*", "members*", "pool_rows"),
        "pooled",
    )


class Component(ctypes.Structure):
    """``nd_component``."""

    _fields_ = _fields("n_stages", "cycle", "stages*")


class Input(ctypes.Structure):
    """``nd_input``."""

    _fields_ = _fields("slot", "current", "rows", "width", "channels")


class Program(ctypes.Structure):
    """``nd_program``."""

    _fields_ = _fields(
        *("timesteps", "wide", "n_slots", "slot_entries*", "n_inputs", "n_components"),
        *("n_members", "inputs*", "components*", "binary_slots*"),
    )


class Wanted(ctypes.Structure):
    """``nd_wanted``."""

    _fields_ = _fields(
        *("raster*", "trace*", "per_sample*", "spikes*", "payload*", "rates*"),
        *("short_rates*", "rate_gain*", "active*", "state*", "resume", "pending*", "pending_steps"),
    )


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Give the functions that run programs their types."""
    library.nd_workspace_new.argtypes = [POINTER(Program)]
    library.nd_workspace_new.restype = c_void_p
    library.nd_workspace_free.argtypes = [c_void_p]
    library.nd_workspace_free.restype = None
    library.nd_run.argtypes = [
        ctypes.c_int,
        POINTER(Program),
        c_void_p,
        POINTER(c_void_p),
        POINTER(Wanted),
        c_int64,
        c_int64,
    ]
    library.nd_run.restype = ctypes.c_int
    library.nd_moments.argtypes = [c_void_p, c_void_p, c_void_p, c_int64, c_int64, c_void_p]
    library.nd_moments.argtypes += [c_void_p]
    library.nd_moments.restype = None
    return library
