"""The store of circuits in memory."""

from __future__ import annotations

import pytest

from tests.stores.breaker_laws import BreakerStoreLaws
from unimicro.stores.memory import MemoryBreakerStore


class TestMemoryBreakerStore(BreakerStoreLaws):
    @pytest.fixture
    def store(self):
        return MemoryBreakerStore()
