"""Workers of joblib and of PyTorch's DataLoader, after the parent's threads were used."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..computing import installed_backends, run_file
from . import library


@installed_backends
@pytest.mark.parametrize("way", ["loky", "multiprocessing", "threading"])
def test_joblib(name: str, way: str, tmp_path: Path) -> None:
    library("joblib")
    script = f"""
    warnings.simplefilter("ignore")  # joblib's, and PyTorch's of other libraries
    from joblib import Parallel, delayed
    def work(_): return everything()
    if __name__ == "__main__":
        expected = everything()
        for _ in range(2):
            found = Parallel(2, backend={way!r})(delayed(work)(i) for i in range(6))
            assert found == [expected] * 6
        assert everything() == expected
        print("done")
    """
    if way == "loky":  # which pickles what is in the main module, but sets no environment
        script = script.replace("return everything()", "import main; return main.everything()")
        script = script.replace(
            "expected =", "sys.path.insert(0, os.path.dirname(__file__)); expected =", 1
        )
    assert run_file(name, tmp_path, script) == "done"


@installed_backends
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("persistent", [False, True])
def test_data_loader(name: str, method: str, persistent: bool, tmp_path: Path) -> None:
    library("torch")
    script = f"""
    warnings.simplefilter("ignore")
    import torch
    from torch.utils.data import DataLoader
    rows = torch.arange(64 * 1200, dtype=torch.float32).reshape(64, 1200) % 37
    def collate(samples):
        return torch.from_numpy(f.softmax(np.repeat(np.stack(samples), 8, axis=0)))
    if __name__ == "__main__":
        expected = everything()
        batches = [collate(list(rows.numpy()[i:i + 16])) for i in range(0, 64, 16)]
        loader = DataLoader(rows.numpy(), 16, collate_fn=collate, num_workers=2,
                            multiprocessing_context={method!r}, persistent_workers={persistent})
        for epoch in range(2):
            for batch, right in zip(loader, batches, strict=True):
                assert torch.equal(batch, right)
                assert everything() == expected
        print("done")
    """
    assert run_file(name, tmp_path, script) == "done"
