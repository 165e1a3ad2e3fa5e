"""Work spread over the cores of the host."""

import threading

import numpy as np
import pytest
import threadpoolctl

from jetvae_jax.metrics.host import over_cores


def test_results_come_in_the_order_of_the_arguments():
    assert over_cores(lambda i, j: i - j, range(100), [1] * 100) == [*range(-1, 99)]


def test_a_call_within_a_call_ends():
    """One pool for both would wait for itself."""
    many = over_cores(lambda i: over_cores(lambda j: i * j, range(20)), range(20))
    np.testing.assert_array_equal(many, np.outer(np.arange(20), np.arange(20)))


def test_calls_from_several_threads_at_once():
    sums = []
    callers = [
        threading.Thread(target=lambda: sums.append(sum(over_cores(abs, range(500)))))
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sums == [500 * 499 // 2] * 4


def test_an_error_arrives_and_the_next_call_works():
    with pytest.raises(ZeroDivisionError):
        over_cores(lambda i: 1 / i, range(10))
    assert over_cores(str, range(3)) == ["0", "1", "2"]


def test_matrix_products_take_one_core_within_and_all_of_them_after():
    def threads():
        libraries = threadpoolctl.threadpool_info()
        return [x["num_threads"] for x in libraries if x["user_api"] == "blas"]

    before = threads()
    assert all(set(within) <= {1} for within in over_cores(lambda _: threads(), [0, 1]))
    assert threads() == before
