"""Nothing that an evaluation does to the model or to this process is left behind.

lm-eval ties weights again, seeds generators, sets a padding token on the caller's tokenizer, leaves the model
in evaluation mode, and sets environment variables when it is imported. Each would silently change what comes
after it: an edit of an untied head would be undone, a training stream would repeat itself.
"""

import logging
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unlearnbench.model.model import Model
from unlearnbench.model.reading import dated


@contextmanager
def untouched(model: Model) -> Iterator[None]:
    """Within: the model evaluates. Afterwards model, tokenizer, generators, environment and logging are as before."""
    with ExitStack() as stack:
        for kept in (
            process_kept(),
            generators_kept(),
            tying_kept(model.network),
            padding_kept(model.tokenizer),
            dated(model.tokenizer),
        ):
            stack.enter_context(kept)
        stack.enter_context(evaluating(model.network))
        yield


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Within: no module drops anything out. Afterwards each is in training, or not, as it was."""
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, flag in training.items():
            module.training = flag


@contextmanager
def process_kept() -> Iterator[None]:
    """Within: environment variables and the levels of loggers may change; afterwards they are what they were."""
    environment = dict(os.environ)
    known = [entry for entry in logging.root.manager.loggerDict.values() if isinstance(entry, logging.Logger)]
    loggers = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in [logging.root, *known]]
    try:
        yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
        for logger, level, propagate, handlers in loggers:
            logger.setLevel(level)
            logger.propagate, logger.handlers = propagate, handlers


@contextmanager
def generators_kept() -> Iterator[None]:
    """Within: random numbers may be drawn and seeds set; afterwards every stream goes on where it was."""
    python, array, cpu = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(array)
        torch.random.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


@contextmanager
def tying_kept(network: PreTrainedModel) -> Iterator[None]:
    """Within: nobody can tie the output layer to the embeddings again, whatever the configuration says."""
    configuration: Any = network.config
    tied = getattr(configuration, "tie_word_embeddings", None)
    network.__dict__["tie_weights"] = _tie_nothing
    try:
        yield
    finally:
        network.__dict__.pop("tie_weights", None)
        if tied is not None:
            configuration.tie_word_embeddings = tied


def _tie_nothing(*_: Any, **__: Any) -> None:
    """In the place of `tie_weights`."""


@contextmanager
def padding_kept(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Within: the tokenizer has a padding token, one that it knows already; afterwards only if it had one before.

    The choice is lm-eval's (unknown, else end of text); where there is neither, lm-eval would add a token to the
    vocabulary, for which the model has no embedding, and here token 0 is taken. Padding is masked: none is better.
    """
    if tokenizer.pad_token is not None:
        yield
        return
    side = tokenizer.padding_side
    tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    try:
        yield
    finally:
        tokenizer.pad_token = None
        tokenizer.padding_side = side
