"""Steps of the generator of random models: element types other than f32, codes of 8 bits, trigonometry."""

import numpy
from onnx import TensorProto
from random_core import FLOAT

SMALL = (numpy.uint8, numpy.int8, numpy.uint16, numpy.int16, numpy.uint32, numpy.uint64, numpy.int32, numpy.int64)
UNSIGNED = (numpy.uint8, numpy.uint16, numpy.uint32, numpy.uint64)
CODES = (numpy.uint8, numpy.int8)
WIDE_CODES = (*CODES, numpy.uint16, numpy.int16)


class Types:
    """Mixed into random_core.Growth."""

    def integers(self, kinds="iu"):
        return self.any(lambda v: v.dtype.kind in kinds and v.array.size)

    def like(self, x, low=0, high=6):
        """A constant of the type of x, of its shape or smaller."""
        shape = [1 if self.chance(30) else s for s in x.shape][self.pick(0, x.rank) if self.chance(30) else 0:]
        return self.constant(self.random.integers(low, high, shape).astype(x.dtype))

    def fits(self, array, dtype):
        limits = numpy.iinfo(dtype)
        return array.size and limits.min <= int(array.min()) and int(array.max()) <= limits.max

    # -- integers and booleans

    def make_integer_type(self):
        to = self.one_of(SMALL)
        x = self.any(lambda v: v.exact and v.dtype != bool and self.fits(v.array, to))
        self.add("Cast", [x], True, to=type_number(to))

    def make_integer_arithmetic(self):
        x = self.integers()
        op = self.one_of(["Add", "Sub", "Mul", "Max", "Min", "Div", "Mod"])
        y = self.like(x, 1) if op in ("Div", "Mod") else self.like(x)
        self.add(op, [x, y], True)

    def make_integer_function(self):
        op = self.one_of(["Abs", "Neg", "Sign", "Relu"])
        self.add(op, [self.integers("i")], True)

    def make_integer_comparison(self):
        x = self.integers()
        self.add(self.one_of(["Less", "Greater", "Equal", "LessOrEqual", "GreaterOrEqual"]), [x, self.like(x)], True)

    def make_integer_sum(self):
        x = self.any(lambda v: v.dtype in (numpy.int32, numpy.int64) and v.rank)
        op = self.one_of(["ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "CumSum", "ArgMax", "MatMul"])
        if op == "CumSum":
            self.add(op, [x, self.constant(numpy.int64(self.axis(x)))], True, reverse=self.pick(0, 1))
        elif op == "ArgMax":
            self.add(op, [x], True, axis=self.axis(x))
        elif op == "MatMul":
            self.add(op, [x, self.constant(self.random.integers(-3, 4, [x.shape[-1], 3]).astype(x.dtype))], True)
        else:
            self.add(op, [x, self.ints([self.axis(x)])], True, keepdims=self.pick(0, 1))

    def make_integer_choice(self):
        x = self.integers()
        low, high = (self.constant(numpy.asarray(v, x.dtype)) for v in (1, 4))
        if self.chance(50):
            self.add("Clip", [x, low, high], True)
        else:
            condition = self.add("Less", [x, high], True)[0]
            self.add("Where", [condition, x, low], True)

    def make_bits(self):
        if self.chance(30):
            x = self.any(lambda v: v.dtype in UNSIGNED)
            shift = self.constant(self.random.integers(0, 4, x.shape[-1:]).astype(x.dtype))
            self.add("BitShift", [x, shift], True, direction=self.one_of(["LEFT", "RIGHT"]))
        elif self.chance(20):
            self.add("BitwiseNot", [self.integers()], True)
        else:
            x = self.integers()
            self.add(self.one_of(["BitwiseAnd", "BitwiseOr", "BitwiseXor"]), [x, self.like(x)], True)

    def make_logic(self):
        x = self.any(lambda v: v.dtype == bool)
        if self.chance(30):
            self.add("Not", [x], True)
        else:
            other = self.constant(self.random.integers(0, 2, x.shape).astype(bool))
            self.add(self.one_of(["And", "Or", "Xor", "Equal"]), [x, other], True)

    def make_question(self):
        x = self.real()
        op = self.one_of(["IsNaN", "IsInf", "Shape", "Size", "ArgMin"])
        if op == "ArgMin":
            x = self.real(exact=True)
            self.add(op, [x], True, axis=self.axis(x), select_last_index=1)
        else:
            self.add(op, [x], True)

    # -- floats of other sizes

    def make_half(self):
        """Into half precision, something there, and back."""
        x = self.add("Cast", [self.real(exact=True)], True, to=TensorProto.FLOAT16)[0]
        y = self.constant(self.grid(x.shape[-1:]).astype(numpy.float16))
        op = self.one_of(["Relu", "Neg", "Abs", "Min", "Max", "Add", "Mul", "Sigmoid", "MatMul", "Softmax"])
        if op == "MatMul" and x.rank >= 1:
            y = self.constant(self.grid([x.shape[-1], 3]).astype(numpy.float16))
        if op in ("Relu", "Neg", "Abs", "Sigmoid", "Softmax"):
            x = self.add(op, [x], op in ("Relu", "Neg", "Abs"))[0]
        else:
            x = self.add(op, [x, y], op in ("Min", "Max"))[0]
        if self.chance(60):
            self.add("Cast", [x], x.exact, to=TensorProto.FLOAT)

    def make_double(self):
        x = self.add("Cast", [self.real()], False, to=TensorProto.DOUBLE)[0]
        y = self.constant(self.random.standard_normal(x.shape[-1:]))
        op = self.one_of(["Add", "Sub", "Mul", "Min", "Max", "Neg", "Abs", "Sqrt", "ReduceSum", "MatMul", "Transpose", "Concat"])
        if op == "Sqrt":
            x = self.add("Sqrt", self.add("Abs", [x], False), False)[0]
        elif op in ("Neg", "Abs", "Transpose"):
            x = self.add(op, [x], False)[0]
        elif op == "ReduceSum":
            x = self.add(op, [x, self.ints([self.axis(x)])], False)[0]
        elif op == "MatMul":
            x = self.add(op, [x, self.constant(self.random.standard_normal([x.shape[-1] if x.rank else 1, 2]))], False)[0]
        elif op == "Concat":
            x = self.add(op, [x, x], False, axis=self.axis(x))[0]
        else:
            x = self.add(op, [x, y], False)[0]
        if self.chance(60):
            self.add("Cast", [x], False, to=TensorProto.FLOAT)

    # -- codes

    def scale(self, shape=()):
        """Powers of two: quantization of grids has no rounding error."""
        return self.constant((2.0 ** self.random.integers(-4, 1, shape)).astype(FLOAT))

    def coded(self, x, dtype, axis=None, block=0):
        """x as codes, and the real numbers of those; `block` elements along the axis share a scale."""
        shape = () if axis is None else (x.shape[axis],)
        if block:
            shape = [-(-n // block) if d == axis else n for d, n in enumerate(x.shape)]
        low, high = (0, 255) if dtype in UNSIGNED else (-100, 100)
        zero = self.constant(self.random.integers(low // 2, high // 2, shape).astype(dtype))
        attributes = {} if axis is None else {"axis": axis, "block_size": block} if block else {"axis": axis}
        scale = self.scale(shape)
        codes = self.add("QuantizeLinear", [x, scale, zero], True, **attributes)[0]
        return codes, self.add("DequantizeLinear", [codes, scale, zero], True, **attributes)[0], scale, zero

    def weights(self, shape):
        """Codes of weights, one scale for each of the first dimension or one for all, and their real numbers."""
        channel = self.chance(60)
        codes = self.constant(self.random.integers(-20, 21, shape).astype(numpy.int8))
        scale = self.scale((shape[0],) if channel else ())
        zero = self.constant(numpy.zeros((shape[0],) if channel else (), numpy.int8))
        return codes, self.add("DequantizeLinear", [codes, scale, zero], True, **({"axis": 0} if channel else {}))[0], scale, zero

    def make_codes(self):
        x = self.real(exact=True)
        along = x.rank and self.chance(40)
        self.coded(x, self.one_of(WIDE_CODES), self.pick(0, x.rank - 1) if along else None,
                   self.pick(2, 4) if along and self.chance(50) else 0)

    def make_quantized_layer(self):
        x = self.any(lambda v: v.dtype == FLOAT and v.exact and v.rank in (2, 4))
        x = self.coded(x, self.one_of(CODES))[1]
        if x.rank == 4:
            w = self.weights([self.pick(1, 5), x.shape[1], self.pick(1, 2), self.pick(1, 2)])[1]
            y = self.add("Conv", [x, w], True, pads=[self.pick(0, 1)] * 4)[0]
        else:
            w = self.weights([self.pick(1, 5), x.shape[1]])[1]
            y = self.add("Gemm", [x, w], True, transB=1)[0]
        if self.chance(40):
            y = self.add("Relu", [y], True)[0]
        self.coded(y, self.one_of(CODES))

    def make_integer_layer(self):
        x = self.any(lambda v: v.dtype == numpy.uint8 and v.rank in (2, 4))
        zero = self.constant(numpy.uint8(self.pick(0, 9)))
        if x.rank == 4:
            w = self.constant(self.random.integers(0, 9, [self.pick(1, 4), x.shape[1], 1, self.pick(1, 2)]).astype(numpy.uint8))
            self.add("ConvInteger", [x, w, zero], True)
        else:
            w = self.constant(self.random.integers(-9, 9, [x.shape[1], self.pick(1, 4)]).astype(numpy.int8))
            self.add("MatMulInteger", [x, w, zero], True)

    def make_fused_integer_layer(self):
        source = self.any(lambda v: v.dtype == FLOAT and v.exact and v.rank in (2, 4))
        x, _, scale, zero = self.coded(source, numpy.uint8)
        # even: onnx's evaluator rounds behind the addition of the zero point, where ties go elsewhere
        y_scale, y_zero = self.scale(), self.constant(numpy.uint8(2 * self.pick(0, 64)))
        if x.rank == 4:
            shape = [self.pick(1, 4), x.shape[1], self.pick(1, 2), self.pick(1, 2)]
            w = self.constant(self.random.integers(-20, 21, shape).astype(numpy.int8))
            operands = [x, scale, zero, w, self.scale(), self.constant(numpy.int8(0)), y_scale, y_zero]
            self.add("QLinearConv", operands, True, pads=[self.pick(0, 1)] * 4)
        else:
            w = self.constant(self.random.integers(0, 41, [x.shape[1], self.pick(1, 4)]).astype(numpy.uint8))
            operands = [x, scale, zero, w, self.scale(), self.constant(numpy.uint8(self.pick(0, 40))), y_scale, y_zero]
            self.add("QLinearMatMul", operands, True)

    def make_dynamic_codes(self):
        self.add("DynamicQuantizeLinear", [self.real(exact=True)], True, outputs=3)

    # -- trigonometry

    def make_trigonometric(self):
        x = self.add("Tanh", [self.real()], False)[0]
        op = self.one_of(["Asin", "Acos", "Atan", "Atanh", "Sinh", "Cosh", "Asinh", "Tan", "Acosh"])
        if op in ("Asin", "Acos", "Atanh", "Tan"):
            x = self.add("Mul", [x, self.constant(FLOAT(0.75))], False)[0]
        if op == "Acosh":
            x = self.add("Add", [x, self.constant(FLOAT(2.5))], False)[0]
        self.add(op, [x], False)


def type_number(dtype):
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(numpy.dtype(dtype))
