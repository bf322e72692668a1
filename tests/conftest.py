"""Before any module of the tests is imported."""

import pytest

# It has tests that others inherit.
pytest.register_assert_rewrite("process_model")
