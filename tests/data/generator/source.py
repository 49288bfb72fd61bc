# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""The matrices of all experts, made when they are written, and their tensors.

With the option "fast" only one matrix of each kind is made; experts have its
codes, turned by a random amount.
"""
import functools
import zlib

import numpy as np

from . import numbers
from .containers import Tensor
from .schemes import Matrix, Part, part

GATE, UP, DOWN = range(3)


def generator(o, *purpose):
    """Random numbers that depend on the seed and on what they are for."""
    return np.random.default_rng([o.seed, *purpose])


def with_bias(packer, dtype=None):
    """A packer that adds a bias; its values are in the model's type."""
    def pack(rng, n, k, o):
        made = packer(rng, n, k, o)
        stored = numbers.encode(rng.normal(0, .1, n), o.dtype)
        if dtype is not None:
            stored = numbers.encode(numbers.decode(stored, o.dtype), dtype)
        parts = dict(made.parts, bias=part(dtype or o.dtype, stored))
        return Matrix(parts, made.weight)
    return pack


def turned(array, places):
    """An array's elements, beginning at a place, as two pieces."""
    flat = array.reshape(-1)
    return [flat[places:], flat[:places]]


class Source:
    """choose(e, p) returns the packer of projection p of expert e."""

    def __init__(self, o, choose):
        self.o = o
        self.choose = choose
        self.samples = {}

    def sizes(self, p):
        o = self.o
        return (o.hidden, o.intermediate) if p == DOWN else \
            (o.intermediate, o.hidden)

    def matrix(self, layer, e, p):
        n, k = self.sizes(p)
        rng = generator(self.o, 1, layer, e, p)
        return self.choose(e, p)(rng, n, k, self.o)

    def sample(self, e, p):
        """A matrix of the kind of that one."""
        key = self.choose(e, p), p
        if key not in self.samples:
            n, k = self.sizes(p)
            self.samples[key] = key[0](generator(self.o, 2, p), n, k, self.o)
        return self.samples[key]

    def joined_sample(self, projections, join):
        key = join, projections
        if key not in self.samples:
            self.samples[key] = join(
                [self.sample(0, p).parts for p in projections])
        return self.samples[key]

    def pieces(self, sample, make, *where):
        """The data of a part: made now, or the sample's."""
        if not self.o.fast:
            return [make().data]
        if not sample.is_codes:
            return [sample.data]
        places = generator(self.o, 3, *where).integers(sample.data.size)
        return turned(sample.data, int(places))

    def tensors(self, layer, e, p, name):
        """The tensors of one matrix; name(ending) is a tensor's name."""
        def one(ending, sample):
            def chunks():
                return self.pieces(
                    sample, lambda: self.matrix(layer, e, p).parts[ending],
                    layer, e, p)
            return Tensor(name(ending), sample.dtype, sample.data.shape,
                          sample.data.nbytes, chunks)
        return [one(ending, sample)
                for ending, sample in self.sample(e, p).parts.items()]

    def fused(self, layer, name, projections, join):
        """A tensor of all experts; join(matrices) makes an expert's part."""
        sample = self.joined_sample(projections, join)
        tag = zlib.crc32(name.encode())

        def chunks():
            for e in range(self.o.experts):
                def make(e=e):
                    return join([self.matrix(layer, e, p).parts
                                 for p in projections])
                yield from self.pieces(sample, make, layer, e, tag)
        shape = (self.o.experts,) + sample.data.shape
        return Tensor(name, sample.dtype, shape,
                      self.o.experts * sample.data.nbytes, chunks)

    def expert(self, layer, e):
        """Weights and biases of an expert, as float64."""
        made = [self.matrix(layer, e, p) for p in range(3)]
        biases = [m.parts.get("bias") for m in made]
        return ([m.weight() for m in made],
                [None if b is None else numbers.decode(b.data, b.dtype)
                 for b in biases])


# ---------------------------------------------- how experts' parts are joined

def joined(parts, data):
    return Part(parts[0].dtype, np.ascontiguousarray(data), parts[0].is_codes)


# The same arguments give the same function: samples are kept by it.
once = functools.lru_cache(maxsize=None)


@once
def only(ending):
    def join(matrices):
        return matrices[0][ending]
    return join


@once
def concatenated(ending):
    """First all rows of gate, then all of up."""
    def join(matrices):
        parts = [m[ending] for m in matrices]
        return joined(parts, np.concatenate([p.data for p in parts]))
    return join


@once
def interleaved(ending):
    """Rows of gate and up in turn."""
    def join(matrices):
        parts = [m[ending] for m in matrices]
        data = np.stack([p.data for p in parts], axis=1)
        return joined(parts, data.reshape((-1,) + data.shape[2:]))
    return join


@once
def transposed(inner):
    def join(matrices):
        made = inner(matrices)
        return joined([made], made.data.T)
    return join


# -------------------------------------------------- tensors that are no experts

def other(o, name, shape, kind):
    """A tensor of layouts.py: type and data."""
    rng = generator(o, 4, zlib.crc32(name.encode()))
    if kind == "one":
        return o.dtype, numbers.encode(np.ones(shape), o.dtype)
    if kind == "f32":
        return "F32", numbers.encode(rng.normal(0, .1, shape), "F32")
    if kind == "router":
        values = rng.normal(0, shape[-1] ** -.5, shape)
        return o.dtype, numbers.encode(values, o.dtype)
    if kind == "model":
        return o.dtype, numbers.encode(rng.normal(0, .1, shape), o.dtype)
    low, high = {"F8_E4M3": (0, 0x7F), "F8_E8M0": (118, 124)}[kind]
    return kind, rng.integers(low, high, shape, dtype="u1")


def other_tensor(o, name, shape, kind):
    dtype = {"f32": "F32", "F8_E4M3": kind, "F8_E8M0": kind}.get(kind, o.dtype)
    size = int(np.prod(shape)) * np.dtype(numbers.DTYPES[dtype]).itemsize
    return Tensor(name, dtype, shape, size,
                  lambda: [other(o, name, shape, kind)[1]])
