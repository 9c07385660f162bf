"""The bar with loss terms, and Ctrl-C."""

import io
import os
import signal
import threading

import pytest
import speechbrain.core
import torch

from speechbrain_kd.progress import (
    RunningMean,
    TermBar,
    interrupt_sets,
    terms_in_bar,
)


def test_the_terms_stand_behind_the_loss():
    out = io.StringIO()
    bar = TermBar([1], terms=lambda: {"embedding": 0.25}, file=out)
    bar.set_postfix(train_loss=3.5)
    bar.close()
    assert "train_loss=3.5" in bar.postfix and "embedding=0.25" in bar.postfix


def test_a_bar_that_is_off_asks_for_no_terms():
    def fail():
        raise AssertionError

    TermBar([1], terms=fail, disable=True).set_postfix(train_loss=3.5)


def test_speechbrain_gets_its_own_bar_back():
    before = speechbrain.core.tqdm
    with pytest.raises(RuntimeError), terms_in_bar(dict):
        assert speechbrain.core.tqdm.func is TermBar
        raise RuntimeError
    assert speechbrain.core.tqdm is before


def test_the_first_interrupt_sets_and_the_second_stops():
    calls = []
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with interrupt_sets(lambda: calls.append(1)):
            os.kill(os.getpid(), signal.SIGINT)
            assert calls == [1]
            os.kill(os.getpid(), signal.SIGINT)
    assert calls == [1]
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupts_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGINT)
    with interrupt_sets(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_interrupts_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with interrupt_sets(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_the_bar_is_not_drawn_at_every_step():
    read = []
    bar = TermBar(
        range(1000), terms=lambda: read.append(1) or {}, file=io.StringIO()
    )
    for step in bar:
        bar.set_postfix(train_loss=torch.tensor(float(step)))
    assert len(read) < 10
    assert "train_loss=999" in bar.postfix


def test_a_mean_goes_on_from_what_was_saved():
    whole, rest = RunningMean(), RunningMean(mean=2.0, count=2)
    for value in (1.0, 3.0, 8.0):
        whole.add(torch.tensor(value))
    rest.add(torch.tensor(8.0))
    assert float(whole) == float(rest) == 4.0
    assert whole.count == rest.count == 3
    assert float(RunningMean()) == 0.0
