# SPDX-License-Identifier: MIT
# Copyright (C) 2026 The w4moe authors
"""w4moe from Python: a thin binding in one file, by ctypes.

Objects are those of the C interface (context, file, matrix, layer, workspace).
They are released by close(), at the end of a `with`, or with the last
reference, and what was made with an object before it.
A failure raises Error with the library's text. See the man pages for what the
functions do; w4moe(7) is the overview.

Arrays are whatever has __dlpack__(): PyTorch tensors, NumPy arrays (1.22 or
newer; NumPy has no bfloat16, so fp16), CuPy and JAX arrays (those of JAX must
not be written: not as outputs). They are read and written in place, never
copied; shape, type, strides and device are checked as <w4moe/dlpack.h> does.

The library is libw4moe.so.0, or the file that the environment variable
W4MOE_LIBRARY names.
"""

from __future__ import annotations

import ctypes
import enum
import os
import weakref
from typing import Any, NoReturn, Optional, Sequence, Union

# ------------------------------------------------------------------ constants


class Status(enum.IntEnum):
    """w4moe_status."""

    OK = 0
    INVALID = 1
    UNSUPPORTED = 2
    FORMAT = 3
    IO = 4
    NOMEM = 5
    DEVICE = 6
    MISMATCH = 7
    CANCELLED = 8


class DType(enum.IntEnum):
    """w4moe_dtype, those that arrays have here."""

    NONE = 0
    F32 = 1
    F16 = 2
    BF16 = 3
    I32 = 9


class Order(enum.IntEnum):
    """w4moe_order."""

    TILE = 1
    RDNA3 = 2


class Code(enum.IntEnum):
    """w4moe_code."""

    INT4 = 1
    E2M1 = 2


class Activation(enum.IntEnum):
    """w4moe_activation_kind, those that need no parameters."""

    SILU = 1
    GELU = 2
    GELU_TANH = 3
    SWIGLUOAI = 4
    SWIGLUSTEP = 6
    SILU_NO_MUL = 32
    GELU_NO_MUL = 33
    GELU_TANH_NO_MUL = 34
    RELU2_NO_MUL = 35


class Router(enum.IntEnum):
    """w4moe_router_kind."""

    NONE = 0
    SOFTMAX_TOPK = 1
    TOPK_SOFTMAX = 2
    SIGMOID = 3
    SIGMOID_TOP1 = 4
    SQRT_SOFTPLUS = 5


class LayerFlags(enum.IntFlag):
    """Flags of Layer."""

    NONE = 0
    COPY = 1
    HUGE_PAGES = 2
    PREFAULT = 4


class Flags(enum.IntFlag):
    """Flags of Layer.forward()."""

    NONE = 0
    ROUTER_WEIGHT_ON_INPUT = 1
    HOST_IO = 2
    BATCH_INVARIANT = 4
    ACCUMULATE = 8
    NO_SHARED = 16


# -------------------------------------------------------- structs of w4moe.h

_PTR = ctypes.c_void_p
_SIZE = ctypes.c_size_t


class Struct(ctypes.Structure):
    """A struct of the C interface, which begins with its size. The order of
    the fields is that of the headers."""

    c_name: str

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.struct_size = ctypes.sizeof(self)


class CtxOptions(Struct):
    c_name = "w4moe_ctx_options"
    _fields_ = [
        ("struct_size", _SIZE),
        ("backend", ctypes.c_char_p),
        ("device", ctypes.c_uint),
        ("n_threads", ctypes.c_uint),
        ("memory_limit", ctypes.c_uint64),
        ("log", _PTR),
        ("log_user", _PTR),
    ]


class MatrixStruct(Struct):
    c_name = "w4moe_matrix"
    _fields_ = [
        ("struct_size", _SIZE),
        ("order", ctypes.c_int),
        ("code", ctypes.c_int),
        ("n_experts", _SIZE),
        ("n_out", _SIZE),
        ("n_in", _SIZE),
        ("group_size", _SIZE),
        ("gated", ctypes.c_int),
        ("qweight", _PTR),
        ("scales", _PTR),
        ("scale_dtype", ctypes.c_int),
        ("qzeros", _PTR),
        ("offsets", _PTR),
        ("offset_dtype", ctypes.c_int),
        ("perm", _PTR),
        ("n_perms", _SIZE),
        ("bias", _PTR),
        ("bias_dtype", ctypes.c_int),
        ("reserved", ctypes.c_uint32),
    ]


class MatrixSizes(Struct):
    c_name = "w4moe_matrix_sizes"
    _fields_ = [
        ("struct_size", _SIZE),
        ("qweight", ctypes.c_uint64),
        ("scales", ctypes.c_uint64),
        ("qzeros", ctypes.c_uint64),
        ("offsets", ctypes.c_uint64),
        ("perm", ctypes.c_uint64),
        ("bias", ctypes.c_uint64),
    ]


class FloatWeight(Struct):
    c_name = "w4moe_float_weight"
    _fields_ = [
        ("struct_size", _SIZE),
        ("n_out", _SIZE),
        ("n_in", _SIZE),
        ("weights", _PTR),
        ("dtype", ctypes.c_int),
        ("row_stride", _SIZE),
        ("column_stride", _SIZE),
        ("output_order", _PTR),
    ]


class ActivationStruct(Struct):
    c_name = "w4moe_activation"
    _fields_ = [
        ("struct_size", _SIZE),
        ("kind", ctypes.c_int),
        ("limit", ctypes.c_float),
        ("alpha", ctypes.c_float),
        ("beta", ctypes.c_float),
        ("linear_beta", ctypes.c_float),
        ("reserved", ctypes.c_uint32),
    ]


class RouterStruct(Struct):
    c_name = "w4moe_router"
    _fields_ = [
        ("struct_size", _SIZE),
        ("kind", ctypes.c_int),
        ("renormalize", ctypes.c_int),
        ("scale", ctypes.c_float),
        ("n_group", ctypes.c_uint32),
        ("topk_group", ctypes.c_uint32),
        ("weight_on_input", ctypes.c_int),
        ("correction_bias", _PTR),
        ("weight", _PTR),
        ("bias", _PTR),
        ("correction_bias_dtype", ctypes.c_int),
        ("weight_dtype", ctypes.c_int),
        ("bias_dtype", ctypes.c_int),
        ("reserved", ctypes.c_uint32),
    ]


class FileInfo(Struct):
    c_name = "w4moe_file_info"
    _fields_ = [
        ("struct_size", _SIZE),
        ("format_version", ctypes.c_uint32),
        ("order", ctypes.c_int),
        ("n_layers", _SIZE),
        ("layers", ctypes.POINTER(ctypes.c_uint32)),
        ("n_experts", _SIZE),
        ("top_k", _SIZE),
        ("hidden_size", _SIZE),
        ("intermediate_size", _SIZE),
        ("w13_group_size", _SIZE),
        ("w2_group_size", _SIZE),
        ("activation", ActivationStruct),
        ("router", RouterStruct),
        ("source_scheme", ctypes.c_char_p),
        ("model_type", ctypes.c_char_p),
        ("producer", ctypes.c_char_p),
        ("n_bytes", ctypes.c_uint64),
        ("n_tensors", _SIZE),
        ("first_expert", _SIZE),
        ("n_experts_total", _SIZE),
        ("router_first_layer", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]


class LayerDesc(Struct):
    c_name = "w4moe_layer_desc"
    _fields_ = [
        ("struct_size", _SIZE),
        ("w13", ctypes.POINTER(MatrixStruct)),
        ("w2", ctypes.POINTER(MatrixStruct)),
        ("activation", ActivationStruct),
        ("router", RouterStruct),
        ("first_expert", _SIZE),
        ("n_experts_global", _SIZE),
        ("shared_w13", ctypes.POINTER(MatrixStruct)),
        ("shared_w2", ctypes.POINTER(MatrixStruct)),
        ("shared_gate", _PTR),
        ("shared_gate_dtype", ctypes.c_int),
        ("shared_scale", ctypes.c_float),
    ]


class LayerInfo(Struct):
    c_name = "w4moe_layer_info"
    _fields_ = [
        ("struct_size", _SIZE),
        ("n_experts", _SIZE),
        ("hidden_size", _SIZE),
        ("intermediate_size", _SIZE),
        ("activation", ActivationStruct),
        ("router", RouterStruct),
        ("bytes_per_expert", ctypes.c_uint64),
        ("bytes_owned", ctypes.c_uint64),
        ("first_expert", _SIZE),
        ("n_experts_global", _SIZE),
        ("n_shared_experts", _SIZE),
        ("shared_intermediate_size", _SIZE),
        ("has_router_weight", ctypes.c_int),
        ("device", ctypes.c_uint),
        ("backend", ctypes.c_char_p),
        ("ctx", _PTR),
    ]


class ForwardArgs(Struct):
    c_name = "w4moe_forward_args"
    _fields_ = [
        ("struct_size", _SIZE),
        ("out", _PTR),
        ("out_stride", _SIZE),
        ("x", _PTR),
        ("x_stride", _SIZE),
        ("dtype", ctypes.c_int),
        ("n_tokens", _SIZE),
        ("top_k", _SIZE),
        ("ids", _PTR),
        ("weights", _PTR),
        ("router_logits", _PTR),
        ("logits_dtype", ctypes.c_int),
        ("expert_map", _PTR),
        ("n_experts_global", _SIZE),
        ("flags", ctypes.c_uint),
        ("stream", _PTR),
        ("expert_counts", _PTR),
        ("out_dtype", ctypes.c_int),
    ]


# ---------------------------------------------------------------- the library

_LOG_FN = ctypes.CFUNCTYPE(None, _PTR, ctypes.c_int, ctypes.c_char_p)

_lib = ctypes.CDLL(os.environ.get("W4MOE_LIBRARY") or "libw4moe.so.0")


def _declare(name: str, result: Any, *arguments: Any) -> None:
    function = getattr(_lib, name)
    function.restype = result
    function.argtypes = arguments


_INT = ctypes.c_int
_declare("w4moe_version", ctypes.c_char_p)
_declare("w4moe_ctx_create", _INT, _PTR, _PTR)
_declare("w4moe_ctx_destroy", None, _PTR)
_declare("w4moe_ctx_error", ctypes.c_char_p, _PTR)
_declare("w4moe_ctx_describe", ctypes.c_char_p, _PTR)
_declare("w4moe_file_open", _INT, _PTR, _PTR, ctypes.c_char_p)
_declare("w4moe_file_close", None, _PTR)
_declare("w4moe_file_get_info", _INT, _PTR, _PTR)
_declare("w4moe_matrix_measure", _INT, _PTR, _PTR, _PTR)
_declare("w4moe_quantize", _INT, _PTR, _PTR, _PTR, _SIZE, _SIZE)
_declare("w4moe_dequantize", _INT, _PTR, _PTR, _PTR, _SIZE)
_declare(
    "w4moe_layer_load", _INT, _PTR, _PTR, _PTR, ctypes.c_uint32, ctypes.c_uint
)
_declare("w4moe_layer_create", _INT, _PTR, _PTR, _PTR, ctypes.c_uint)
_declare("w4moe_layer_destroy", None, _PTR)
_declare("w4moe_layer_get_info", _INT, _PTR, _PTR)
_declare("w4moe_workspace_create", _INT, _PTR, _PTR, _SIZE, _SIZE)
_declare("w4moe_workspace_destroy", None, _PTR)
_declare("w4moe_forward", _INT, _PTR, _PTR, _PTR)


class Error(Exception):
    """A call failed, or an array is not what a call needs."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{Status(status).name}: {text}")
        self.status = Status(status)
        self.text = text


def version() -> str:
    """Version of the library."""
    return _text(_lib.w4moe_version())


def _text(bytes_or_none: Optional[bytes]) -> str:
    return (bytes_or_none or b"").decode("utf-8", "replace")


def _invalid(text: str) -> NoReturn:
    raise Error(Status.INVALID, text)


# --------------------------------------------------------------------- DLPack

_CPU, _CUDA, _CUDA_HOST, _ROCM, _ROCM_HOST = 1, 2, 3, 10, 11
_DEVICES = {
    _CPU: "CPU",
    _CUDA: "CUDA",
    _CUDA_HOST: "CUDAHost",
    _ROCM: "ROCM",
    _ROCM_HOST: "ROCMHost",
}
_TYPE_CODES = ("int", "uint", "float", "opaque", "bfloat", "complex", "bool")
_DTYPES = {
    "float32": DType.F32,
    "float16": DType.F16,
    "bfloat16": DType.BF16,
    "int32": DType.I32,
}
_ITEM_SIZES = {DType.F32: 4, DType.F16: 2, DType.BF16: 2, DType.I32: 4}
_HALVES = ("bfloat16", "float16")


class _DLTensor(ctypes.Structure):
    """DLTensor of <dlpack/dlpack.h>; a DLManagedTensor begins with one."""

    _fields_ = [
        ("data", _PTR),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("type_code", ctypes.c_uint8),
        ("type_bits", ctypes.c_uint8),
        ("type_lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = _PTR
_capsule_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


class _Rows:
    """An array of one or two dimensions as rows in memory, borrowed.

    The capsule is not consumed: it keeps its name "dltensor", so that its own
    destructor gives the tensor back to its producer when the last reference to
    it is gone, which is that of this object. Nothing is read after that.
    """

    def __init__(self, name: str, array: Any, stream: int = 0) -> None:
        self.name = name
        if not hasattr(array, "__dlpack__"):
            _invalid(f"{name}: {type(array).__name__} has no __dlpack__()")
        kind, _ = array.__dlpack_device__()
        # Streams of DLPack: a GPU's producer makes the given one wait for what
        # it has still to write. CUDA calls the default stream 1, ROCm 0.
        if kind == _CUDA:
            self._capsule = array.__dlpack__(stream=stream or 1)
        elif kind == _ROCM:
            self._capsule = array.__dlpack__(stream=stream)
        else:
            self._capsule = array.__dlpack__()
        address = _capsule_pointer(self._capsule, b"dltensor")
        tensor = _DLTensor.from_address(address)
        self.device = (tensor.device_type, tensor.device_id)
        self.shape: tuple[int, ...] = tuple(
            tensor.shape[i] for i in range(tensor.ndim)
        )
        self.type = self._type_text(tensor)
        self.dtype = _DTYPES.get(self.type, DType.NONE)
        self.address: int = (tensor.data or 0) + tensor.byte_offset
        packed = [1] * tensor.ndim
        for i in range(tensor.ndim - 1, 0, -1):
            packed[i - 1] = packed[i] * self.shape[i]
        # A dimension of 1 may have any stride, and so may empty arrays.
        self.strides: tuple[int, ...] = tuple(
            tensor.strides[i]
            if tensor.strides and self.shape[i] > 1 and 0 not in self.shape
            else packed[i]
            for i in range(tensor.ndim)
        )

    @staticmethod
    def _type_text(tensor: _DLTensor) -> str:
        code = tensor.type_code
        text = _TYPE_CODES[code] if code < len(_TYPE_CODES) else f"type{code}-"
        lanes = f" x {tensor.type_lanes}" if tensor.type_lanes != 1 else ""
        return f"{text}{tensor.type_bits}{lanes}"

    @property
    def stride(self) -> int:
        """Distance of rows in elements."""
        return self.strides[0] if len(self.shape) == 2 else self.shape[0]

    @property
    def device_text(self) -> str:
        kind, index = self.device
        return f"{_DEVICES.get(kind, f'device type {kind}')}:{index}"

    @property
    def n_bytes(self) -> int:
        """From the first element to behind the last."""
        if 0 in self.shape:
            return 0
        ends = ((n - 1) * s for n, s in zip(self.shape, self.strides))
        return (sum(ends) + 1) * _ITEM_SIZES[self.dtype]

    def need(
        self,
        shape: Sequence[Optional[int]],
        types: Sequence[str],
        strided: bool = False,
    ) -> _Rows:
        """Raises Error unless the array is so; None is any size."""
        if self.type not in types:
            hint = ""
            if self.name == "ids" and self.type == "int64":
                hint = " (of PyTorch's topk() pass ids.to(torch.int32))"
            raise Error(
                Status.UNSUPPORTED,
                f"{self.name}: elements are {self.type}, not "
                + " or ".join(types)
                + hint,
            )
        if len(shape) != len(self.shape) or any(
            n not in (None, got) for n, got in zip(shape, self.shape)
        ):
            wanted = ["any" if n is None else n for n in shape]
            _invalid(
                f"{self.name}: the shape is {list(self.shape)}, not {wanted}"
            )
        columns = self.shape[-1]
        if self.strides[-1] != 1 or (
            self.stride != columns and (not strided or self.stride < columns)
        ):
            _invalid(
                f"{self.name}: the strides are {list(self.strides)}: rows are "
                + ("too close or not dense" if strided else "not packed")
            )
        if self.address % _ITEM_SIZES[self.dtype] != 0:
            _invalid(f"{self.name}: the data are not aligned")
        return self

    def need_host(self) -> _Rows:
        """Raises Error unless the array is in host memory."""
        if self.device[0] != _CPU:
            _invalid(f"{self.name}: it is on {self.device_text}, not on CPU")
        return self

    def overlaps(self, other: _Rows) -> bool:
        """Whether two arrays share memory; with different strides, whether
        the memory from their first to their last elements does."""
        distance = other.address - self.address
        if not -other.n_bytes < distance < self.n_bytes:
            return False
        own, others = _ITEM_SIZES[self.dtype], _ITEM_SIZES[other.dtype]
        stride = self.stride * own
        if stride != other.stride * others:
            return True
        distance %= stride
        return (
            distance < self.shape[-1] * own
            or stride - distance < other.shape[-1] * others
        )


# -------------------------------------------------------------------- objects


class _Object:
    """Something of the library that is released once: after what was made
    with it, and before what it needs to live."""

    _destroy: str

    def __init__(self, *needs: Any) -> None:
        self._handle = _PTR()
        self._needs: tuple[Any, ...] = needs
        self._users: weakref.WeakSet[_Object] = weakref.WeakSet()
        for need in needs:
            if isinstance(need, _Object):
                need._users.add(self)

    def close(self) -> None:
        """Releases it; calls with it fail from then on."""
        for user in list(self._users):
            user.close()
        if self._handle:
            getattr(_lib, self._destroy)(self._handle)
            self._handle = _PTR()
        self._needs = ()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()


class Context(_Object):
    """w4moe_ctx."""

    _destroy = "w4moe_ctx_destroy"

    def __init__(
        self,
        backend: str = "auto",
        device: int = 0,
        n_threads: int = 0,
        memory_limit: int = 0,
    ) -> None:
        super().__init__()
        texts: list[str] = []

        # Without a context its failure is told to the log only.
        def note(_user: Optional[int], _level: int, text: bytes) -> None:
            texts.append(_text(text))
            del texts[:-1]

        log = _LOG_FN(note)
        self._needs = (log,)
        options = CtxOptions(
            backend=backend.encode(),
            device=device,
            n_threads=n_threads,
            memory_limit=memory_limit,
            log=ctypes.cast(log, _PTR),
        )
        status = _lib.w4moe_ctx_create(
            ctypes.byref(self._handle), ctypes.byref(options)
        )
        if status != Status.OK:
            raise Error(status, texts[-1] if texts else "no context")

    def check(self, status: int) -> None:
        """Raises Error for any status but OK, with the context's text."""
        if status != Status.OK:
            raise Error(status, _text(_lib.w4moe_ctx_error(self._handle)))

    def describe(self) -> str:
        """Backend, device, threads and kernels in use, for people."""
        return _text(_lib.w4moe_ctx_describe(self._handle))


class File(_Object):
    """w4moe_file: a container."""

    _destroy = "w4moe_file_close"

    def __init__(
        self, ctx: Context, path: Union[str, os.PathLike[str]]
    ) -> None:
        super().__init__(ctx)
        self.ctx = ctx
        ctx.check(
            _lib.w4moe_file_open(
                ctx._handle, ctypes.byref(self._handle), os.fsencode(path)
            )
        )
        self.info = FileInfo()
        ctx.check(
            _lib.w4moe_file_get_info(self._handle, ctypes.byref(self.info))
        )
        self.layers = [self.info.layers[i] for i in range(self.info.n_layers)]


class Matrix:
    """w4moe_matrix: a matrix of every expert, in memory of its own."""

    def __init__(
        self,
        ctx: Context,
        n_experts: int,
        n_out: int,
        n_in: int,
        group_size: int = 128,
        gated: bool = False,
        scale_dtype: DType = DType.BF16,
        asymmetric: bool = False,
        order: Order = Order.TILE,
    ) -> None:
        self.ctx = ctx
        self.struct = MatrixStruct(
            order=order,
            code=Code.INT4,
            n_experts=n_experts,
            n_out=n_out,
            n_in=n_in,
            group_size=min(group_size, n_in),
            gated=gated,
            scale_dtype=scale_dtype,
        )
        sizes = MatrixSizes()
        ctx.check(
            _lib.w4moe_matrix_measure(
                ctx._handle, ctypes.byref(sizes), ctypes.byref(self.struct)
            )
        )
        names = ["qweight", "scales"] + (["qzeros"] if asymmetric else [])
        self._arrays = [
            ctypes.create_string_buffer(getattr(sizes, name)) for name in names
        ]
        for name, array in zip(names, self._arrays):
            setattr(self.struct, name, ctypes.addressof(array))

    def quantize(self, expert: int, weight: Any, first_out: int = 0) -> None:
        """w4moe_quantize(): rounds weight, [outputs][inputs], bf16, fp16 or
        fp32. The up projection of a gated matrix begins at half of n_out."""
        types = _HALVES + ("float32",)
        rows = _Rows("weight", weight).need_host()
        rows.need((None, self.struct.n_in), types, strided=True)
        source = FloatWeight(
            n_out=rows.shape[0],
            n_in=rows.shape[1],
            weights=rows.address,
            dtype=rows.dtype,
            row_stride=rows.stride,
        )
        self.ctx.check(
            _lib.w4moe_quantize(
                self.ctx._handle,
                ctypes.byref(self.struct),
                ctypes.byref(source),
                expert,
                first_out,
            )
        )

    def dequantize(self, expert: int, out: Any) -> Any:
        """w4moe_dequantize(): the weights of an expert, into and as out,
        [n_out][n_in], float32."""
        rows = _Rows("out", out).need_host()
        rows.need((self.struct.n_out, self.struct.n_in), ("float32",))
        self.ctx.check(
            _lib.w4moe_dequantize(
                self.ctx._handle,
                rows.address,
                ctypes.byref(self.struct),
                expert,
            )
        )
        return out


class Layer(_Object):
    """w4moe_layer; made by load() or create()."""

    _destroy = "w4moe_layer_destroy"

    def __init__(self, ctx: Context, *needs: Any) -> None:
        super().__init__(ctx, *needs)
        self.ctx = ctx
        self.info = LayerInfo()

    @classmethod
    def load(
        cls, file: File, layer: int, flags: LayerFlags = LayerFlags.NONE
    ) -> Layer:
        """w4moe_layer_load(): a layer of a container."""
        self = cls(file.ctx, file)
        self.ctx.check(
            _lib.w4moe_layer_load(
                self.ctx._handle,
                ctypes.byref(self._handle),
                file._handle,
                layer,
                flags,
            )
        )
        return self._with_info()

    @classmethod
    def create(
        cls,
        w13: Matrix,
        w2: Matrix,
        activation: Activation = Activation.SILU,
        router: Router = Router.NONE,
        renormalize: bool = True,
        router_weight: Any = None,
        flags: LayerFlags = LayerFlags.NONE,
    ) -> Layer:
        """w4moe_layer_create(): a layer of matrices, which it keeps, as it
        does router_weight, [E][H], bf16, fp16 or fp32. With that forward()
        needs no more than hidden states."""
        router_struct = RouterStruct(kind=router, renormalize=renormalize)
        needs: list[Any] = [w13, w2]
        if router_weight is not None:
            rows = _Rows("router_weight", router_weight).need_host()
            rows.need(
                (w13.struct.n_experts, w13.struct.n_in),
                _HALVES + ("float32",),
            )
            router_struct.weight = rows.address
            router_struct.weight_dtype = rows.dtype
            needs.append(rows)
        self = cls(w13.ctx, *needs)
        desc = LayerDesc(
            w13=ctypes.pointer(w13.struct),
            w2=ctypes.pointer(w2.struct),
            activation=ActivationStruct(kind=activation),
            router=router_struct,
        )
        self.ctx.check(
            _lib.w4moe_layer_create(
                self.ctx._handle,
                ctypes.byref(self._handle),
                ctypes.byref(desc),
                flags,
            )
        )
        return self._with_info()

    def _with_info(self) -> Layer:
        self.ctx.check(
            _lib.w4moe_layer_get_info(self._handle, ctypes.byref(self.info))
        )
        return self

    def _check_device(self, rows: _Rows, x: _Rows, flags: Flags) -> None:
        """The devices that <w4moe/dlpack.h> takes."""
        kind, index = rows.device
        backend = _text(self.info.backend)
        host_io = bool(flags & Flags.HOST_IO)
        if backend == "cpu" or host_io:
            pinned = kind in (_CUDA_HOST, _ROCM_HOST)
            good = kind == _CPU or (pinned and host_io)
        else:
            good = (
                kind in (_CUDA, _ROCM)
                and kind == x.device[0]
                and index == self.info.device
            )
        if not good:
            _invalid(
                f"{rows.name}: it is on {rows.device_text}, x on "
                f"{x.device_text}, the layer on {backend}:{self.info.device}"
            )

    def forward(
        self,
        workspace: Workspace,
        out: Any,
        x: Any,
        ids: Any = None,
        weights: Any = None,
        router_logits: Any = None,
        expert_map: Any = None,
        expert_counts: Any = None,
        top_k: int = 0,
        flags: Flags = Flags.NONE,
        stream: int = 0,
    ) -> Any:
        """w4moe_forward(), into and as out.

        x and out are [T][H], bf16 or fp16, maybe with a stride of rows; ids
        and weights [T][k], int32 and float32, or None: the router chooses
        top_k experts, from router_logits or by its weight. On a GPU the call
        is queued in the stream, whose handle is an integer (0: the default),
        and the arrays must live until it is done.
        """
        arrays = {
            "x": x,
            "out": out,
            "ids": ids,
            "weights": weights,
            "router_logits": router_logits,
            "expert_map": expert_map,
            "expert_counts": expert_counts,
        }
        rows = {
            name: _Rows(name, array, stream)
            for name, array in arrays.items()
            if array is not None or name in ("x", "out")
        }
        for given in rows.values():
            self._check_device(given, rows["x"], flags)
        args = self._args(rows, top_k, flags)
        args.stream = stream or None
        self.ctx.check(
            _lib.w4moe_forward(
                self._handle, workspace._handle, ctypes.byref(args)
            )
        )
        return out

    def _args(
        self, rows: dict[str, _Rows], top_k: int, flags: Flags
    ) -> ForwardArgs:
        """The arguments of a call, after all checks."""
        hidden = self.info.hidden_size
        n_global = self.info.n_experts_global
        if "expert_map" in rows:
            rows["expert_map"].need((None,), ("int32",))
            n_global = rows["expert_map"].shape[0]
        x = rows["x"].need((None, hidden), _HALVES, strided=True)
        n_tokens = x.shape[0]
        rows["out"].need((n_tokens, hidden), (x.type,), strided=True)
        if "ids" in rows:
            rows["ids"].need((n_tokens, top_k or None), ("int32",))
            top_k = rows["ids"].shape[1]
        args = ForwardArgs(
            out_stride=rows["out"].stride,
            x_stride=x.stride,
            dtype=x.dtype,
            n_tokens=n_tokens,
            top_k=top_k,
            n_experts_global=n_global,
            flags=flags,
        )
        if "weights" in rows:
            rows["weights"].need((n_tokens, top_k or None), ("float32",))
        if "router_logits" in rows:
            logits = rows["router_logits"]
            logits.need((n_tokens, n_global), _HALVES + ("float32",))
            args.logits_dtype = logits.dtype
        if "expert_counts" in rows:
            rows["expert_counts"].need((n_global,), ("int32",))
        self._check_overlap(rows, flags)
        for name, given in rows.items():
            setattr(args, name, given.address)
        return args

    @staticmethod
    def _check_overlap(rows: dict[str, _Rows], flags: Flags) -> None:
        """Outputs are nothing else's memory, but out may be x."""
        x, out = rows["x"], rows["out"]
        in_place = (out.address, out.stride) == (x.address, x.stride)
        if in_place and flags & Flags.ACCUMULATE:
            _invalid("out is x, which it cannot be with ACCUMULATE")
        for written in ("out", "expert_counts"):
            for name, given in rows.items():
                if written not in rows or written == name:
                    continue
                if written == "out" and name == "x" and in_place:
                    continue
                if rows[written].overlaps(given):
                    _invalid(f"{written} overlaps {name}")


class Workspace(_Object):
    """w4moe_workspace, for one call at a time."""

    _destroy = "w4moe_workspace_destroy"

    def __init__(self, layer: Layer, max_tokens: int, top_k: int) -> None:
        super().__init__(layer)
        layer.ctx.check(
            _lib.w4moe_workspace_create(
                layer._handle, ctypes.byref(self._handle), max_tokens, top_k
            )
        )
