"""Ctrl-C and SIGTERM are heard at any time."""

import contextlib
import gc
import signal
import subprocess
import sys
import threading
import time

import pytest

from jetvae_jax.core import interrupt as interrupt_module
from jetvae_jax.core.interrupt import Interrupt
from jetvae_jax.training import Config, fit, gradient_step

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def same_handlers():
    before = [signal.getsignal(n) for n in SIGNALS], sys.unraisablehook
    yield
    assert ([signal.getsignal(n) for n in SIGNALS], sys.unraisablehook) == before


@pytest.mark.parametrize("number", SIGNALS)
def test_work_without_anything_to_save_stops_at_once(number):
    with pytest.raises(KeyboardInterrupt), Interrupt(raises=True) as interrupt:
        signal.raise_signal(number)
    assert interrupt.signal_number == number


def wait():
    end = time.monotonic() + 2
    while time.monotonic() < end:
        time.sleep(0.01)


def in_the_garbage_collector():
    def callback(phase, info):
        if phase == "start":
            gc.callbacks.remove(callback)
            signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(callback)
    gc.collect()


def in_a_destructor():
    class Object:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    Object()


@pytest.mark.parametrize("place", [in_the_garbage_collector, in_a_destructor])
def test_a_signal_that_python_drops_comes_again(place):
    heard = []
    with pytest.raises(KeyboardInterrupt), Interrupt(raises=True) as interrupt:
        place()  # the exception ends here: Python ignores it
        heard.append(interrupt.signal_number)
        wait()
    assert heard == [signal.SIGINT]


def test_a_signal_that_a_library_drops_comes_again(monkeypatch):
    monkeypatch.setattr(interrupt_module, "UNHEARD_SECONDS", 0.05)
    with pytest.raises(KeyboardInterrupt), Interrupt(raises=True) as outer:
        with contextlib.suppress(KeyboardInterrupt):  # as C code does
            signal.raise_signal(signal.SIGTERM)
        wait()
    assert outer.signal_number == signal.SIGTERM


def test_a_signal_that_is_dropped_before_a_training_ends_the_training(monkeypatch):
    monkeypatch.setattr(interrupt_module, "UNHEARD_SECONDS", 0.05)
    with Interrupt(raises=True), contextlib.suppress(KeyboardInterrupt):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with Interrupt() as inner:
            wait()
        assert inner.signal_number == signal.SIGTERM


def test_a_context_that_ended_sends_nothing(monkeypatch):
    monkeypatch.setattr(interrupt_module, "UNHEARD_SECONDS", 0.05)
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with contextlib.suppress(KeyboardInterrupt), Interrupt(raises=True):
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not heard


def test_other_ignored_exceptions_are_still_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    class Object:
        def __del__(self):
            raise ZeroDivisionError

    with Interrupt(raises=True):
        Object()
    assert [hook.exc_type for hook in told] == [ZeroDivisionError]


def test_a_loop_that_saves_ends_by_itself_and_a_second_signal_stops_it():
    with (
        pytest.raises(KeyboardInterrupt),
        Interrupt(raises=True) as outer,
        Interrupt() as inner,
    ):
        signal.raise_signal(signal.SIGTERM)
        assert inner.signal_number == signal.SIGTERM and not outer.signal_number
        signal.raise_signal(signal.SIGINT)
    assert outer.signal_number == signal.SIGINT


def test_other_threads_do_as_before():
    found = []

    def work():
        with Interrupt(raises=True) as interrupt:
            found.append(interrupt.signal_number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]


def test_a_signal_while_a_training_is_traced_saves_and_stops(tmp_path):
    import jax
    import numpy as np
    import optax

    def loss(params, key, batch):
        signal.raise_signal(signal.SIGINT)  # once for each trace
        error = (batch - params) ** 2
        return error, {"error": error}

    step = gradient_step(loss, lambda key: jax.numpy.zeros(()), optax.sgd(0.1))
    data = np.ones(40, np.float32)
    config = Config(num_epochs=50, batch_size=20)
    with Interrupt(raises=True):
        path = tmp_path / "state.npz"
        result = fit(
            step, jax.random.key(0), data, data, config=config, state_path=path
        )
    assert result.signal_number == signal.SIGINT and result.history == []
    assert path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_ctrl_c_at_any_time_of_a_training_ends_it_in_order(tmp_path, number):
    """From the first reading on; before, Python imports."""
    arguments = [sys.executable, "experiments/train.py",
                 "--flagfile=experiments/flagfiles/smoke.txt",
                 "--train.num_epochs=2000", f"--workdir={tmp_path / 'w'}"]  # fmt: skip
    for delay in (0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.5, 4.0):
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "w" / "flags.txt").exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(number)
        _, log = process.communicate(timeout=120)
        assert process.returncode == 128 + number, (delay, log)
        assert f"stopped by signal {number}; " in log and "Traceback" not in log
        assert "Continue with: python experiments/train.py" in log
        assert not (tmp_path / "w" / ".lock").exists()
        (tmp_path / "w" / "flags.txt").unlink()
