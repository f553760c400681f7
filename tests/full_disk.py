"""A disk that is full from some write on."""

import builtins
import errno
import io
import os


class Disk:
    """Counts what is opened for writing and what is written below a folder; full from the n-th time on."""

    def __init__(self, monkeypatch, folder):
        self.count, self.full_at, self._folder = 0, None, str(folder)
        real = io.open

        def opened(file, mode="r", *args, **kwargs):
            writes = set(mode) & set("wax+") and not isinstance(file, int)
            if not writes or not os.fspath(file).startswith(self._folder):
                return real(file, mode, *args, **kwargs)
            self.use()
            return Stream(real(file, mode, *args, **kwargs), self)

        monkeypatch.setattr(io, "open", opened)
        monkeypatch.setattr(builtins, "open", opened)

    def use(self):
        self.count += 1
        if self.full_at is not None and self.count >= self.full_at:
            raise OSError(errno.ENOSPC, "No space left on device")


class Stream:
    """A file on that disk."""

    def __init__(self, stream, disk):
        self._stream, self._disk = stream, disk

    def write(self, data):
        self._disk.use()
        return self._stream.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stream.close()

    def __getattr__(self, name):
        return getattr(self._stream, name)
