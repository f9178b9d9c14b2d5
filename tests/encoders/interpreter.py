"""What Triton's interpreter does anew for every operation and every call, most of what either costs, done once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter

Shape = tuple[int, ...]

_init_block, _init_tensor = tl.block_type.__init__, tl.tensor.__init__
_np_dtype, _patch = interpreter._get_np_dtype, interpreter._patch_lang
_patch_lang_tensor = interpreter._patch_lang_tensor
_np_dtypes: dict[str, np.dtype[Any]] = {}


@cache
def _block(shape: Shape, name: str) -> dict[str, Any]:
    made = object.__new__(tl.block_type)
    _init_block(made, tl.float32, list(shape))
    return {"shape": made.shape, "numel": made.numel, "name": f"<{made.shape}, {name}>"}


@cache
def _shape(shape: Shape) -> dict[str, Any]:
    made = object.__new__(tl.tensor)
    _init_tensor(made, None, tl.block_type(tl.float32, list(shape)) if shape else tl.float32)
    return {"numel": made.numel, "shape": made.shape}


def _quick_block(self: Any, element_ty: Any, shape: Any) -> None:
    self.element_ty = element_ty
    self.__dict__.update(_block(tuple([getattr(side, "value", side) for side in shape]), element_ty.name))


def _quick_tensor(self: Any, handle: Any, type: Any) -> None:
    self.handle, self.type, self.dtype = handle, type, type.scalar
    self.__dict__.update(_shape(tuple(type.shape.values) if type.is_block() else ()))


def _quick_np_dtype(tt_dtype: Any) -> np.dtype[Any]:
    if tt_dtype.name not in _np_dtypes:
        _np_dtypes[tt_dtype.name] = _np_dtype(tt_dtype)
    return _np_dtypes[tt_dtype.name]


@cache
def _languages(function: Callable[..., Any]) -> list[ModuleType]:
    return [value for value in function.__globals__.values() if value is tl or value is tl.core]


def _quick_patch(function: Callable[..., Any]) -> Any:
    """A function that a kernel calls finds the language patched already, for the kernel."""
    if any(tl.core.is_builtin(language.load) for language in _languages(function)):
        return _patch(function)
    return interpreter._LangPatchScope()


def _patch_tensor(tensor: Any, scope: Any) -> None:
    """What ends a range may be: numpy no longer takes an array of one number for a number."""
    _patch_lang_tensor(tensor, scope)
    scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))


def quicken() -> None:
    """For all that this process interprets from here on; it computes the same."""
    interpreter._patch_lang_tensor = _patch_tensor
    tl.block_type.__init__, tl.tensor.__init__ = _quick_block, _quick_tensor
    interpreter._get_np_dtype, interpreter._patch_lang = _quick_np_dtype, _quick_patch
