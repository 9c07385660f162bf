"""The bar with loss terms, and Ctrl-C."""

import io
import os
import signal
import threading

import pytest
import speechbrain.core

from speechbrain_kd.progress import TermBar, interrupt_sets, terms_in_bar


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
