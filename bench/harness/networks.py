"""Networks with random weights, made with the onnx package alone: the published structures, batch normalization
folded, weights scaled so that activations keep their size (He et al., https://arxiv.org/abs/1502.01852)."""
import numpy
from onnx import TensorProto, helper, numpy_helper, shape_inference


class Net:
    """Appends nodes; values are names, `channels` knows how many each has."""

    def __init__(self, channels, height, width):
        self.generator = numpy.random.default_rng(0)
        self.nodes, self.weights, self.outputs = [], [], []
        self.input = "image"
        self.shape = [1, channels, height, width]
        self.channels = {self.input: channels}

    def add(self, kind, inputs, channels, **attributes):
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        self.channels[output] = channels
        return output

    def weight(self, shape, scale):
        name = f"w{len(self.weights)}"
        values = self.generator.standard_normal(shape, dtype=numpy.float32) * numpy.float32(scale)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x, channels, kernel, stride=1, group=1, act="Relu"):
        fan_in = self.channels[x] // group * kernel * kernel
        weights = [self.weight((channels, self.channels[x] // group, kernel, kernel), (2 / fan_in) ** 0.5),
                   self.weight((channels,), 0.1)]
        y = self.add("Conv", [x, *weights], channels, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                     pads=[kernel // 2] * 4, group=group)
        return self.act(y, act)

    def act(self, x, kind):
        channels = self.channels[x]
        if kind == "Relu6":
            limits = [self.constant(0.0), self.constant(6.0)]
            return self.add("Clip", [x, *limits], channels)
        if kind == "Mish":  # x tanh(softplus(x)), spelled as exporters of opset 17 do
            gate = self.add("Tanh", [self.add("Softplus", [x], channels)], channels)
            return self.add("Mul", [x, gate], channels)
        if kind == "LeakyRelu":
            return self.add(kind, [x], channels, alpha=0.1)
        return self.add(kind, [x], channels) if kind else x

    def constant(self, value):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.array(value, numpy.float32), name))
        return name

    def sum(self, a, b):
        return self.add("Add", [a, b], self.channels[a])

    def join(self, *values):
        return self.add("Concat", list(values), sum(self.channels[value] for value in values), axis=1)

    def max_pool(self, x, kernel, stride, pad):
        return self.add("MaxPool", [x], self.channels[x], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def twice_as_large(self, x):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(numpy.array([1, 1, 2, 2], numpy.float32), name))
        return self.add("Resize", [x, "", name], self.channels[x], mode="nearest", nearest_mode="floor",
                        coordinate_transformation_mode="asymmetric")

    def dense(self, x, inputs, outputs, act=None):
        weights = [self.weight((outputs, inputs), (2 / inputs) ** 0.5), self.weight((outputs,), 0.1)]
        return self.act(self.add("Gemm", [x, *weights], outputs, transB=1), act)

    def classify(self, x, classes=1000):
        pooled = self.add("GlobalAveragePool", [x], self.channels[x])
        return self.dense(self.add("Flatten", [pooled], self.channels[x]), self.channels[x], classes)

    def model(self, *outputs):
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info(self.input, TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs], self.weights)
        model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
        return shape_inference.infer_shapes(model)


def mobilenet_v2():
    """https://arxiv.org/abs/1801.04381, table 2."""
    net = Net(3, 224, 224)
    x = net.conv(net.input, 32, 3, 2, act="Relu6")
    for expansion, channels, count, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                              (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(count):
            stride, before = (first if i == 0 else 1), x
            wide = net.channels[x] * expansion
            if expansion > 1:
                x = net.conv(x, wide, 1, act="Relu6")
            x = net.conv(x, wide, 3, stride, group=wide, act="Relu6")
            x = net.conv(x, channels, 1, act=None)
            if stride == 1 and net.channels[before] == channels:
                x = net.sum(before, x)
    return net.model(net.classify(net.conv(x, 1280, 1, act="Relu6")))


def resnet(counts, bottleneck):
    """https://arxiv.org/abs/1512.03385, table 1; the stride of a bottleneck is in its 3x3."""
    net = Net(3, 224, 224)
    x = net.max_pool(net.conv(net.input, 64, 7, 2), 3, 2, 1)
    for stage, count in enumerate(counts):
        channels = 64 << stage
        for i in range(count):
            stride, before = (2 if stage and not i else 1), x
            outer = channels * 4 if bottleneck else channels
            if bottleneck:
                x = net.conv(x, channels, 1)
                x = net.conv(x, channels, 3, stride)
                x = net.conv(x, outer, 1, act=None)
            else:
                x = net.conv(x, channels, 3, stride)
                x = net.conv(x, outer, 3, act=None)
            if stride > 1 or net.channels[before] != outer:
                before = net.conv(before, outer, 1, stride, act=None)
            x = net.act(net.sum(before, x), "Relu")
    return net.model(net.classify(x))


def vgg16():
    """https://arxiv.org/abs/1409.1556, configuration D."""
    net = Net(3, 224, 224)
    x = net.input
    for channels, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x = net.conv(x, channels, 3)
        x = net.max_pool(x, 2, 2, 0)
    x = net.add("Flatten", [x], 512 * 49)
    x = net.dense(net.dense(x, 512 * 49, 4096, "Relu"), 4096, 4096, "Relu")
    return net.model(net.dense(x, 4096, 1000))


def squeezenet():
    """https://arxiv.org/abs/1602.07360, version 1.1."""
    net = Net(3, 224, 224)
    x = net.max_pool(net.conv(net.input, 64, 3, 2), 3, 2, 0)
    for i, narrow in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
        x = net.max_pool(x, 3, 2, 0) if i in (2, 4) else x
        x = net.conv(x, narrow, 1)
        x = net.join(net.conv(x, narrow * 4, 1), net.conv(x, narrow * 4, 3))
    pooled = net.add("GlobalAveragePool", [net.conv(x, 1000, 1)], 1000)
    return net.model(net.add("Flatten", [pooled], 1000))


def yolov4(size=416):
    """https://arxiv.org/abs/2004.10934: CSPDarknet53 with Mish, SPP, PAN; three raw heads."""
    net = Net(3, size, size)
    x, stages = net.conv(net.input, 32, 3, act="Mish"), []
    for stage, count in enumerate((1, 2, 8, 8, 4)):
        wide = 64 << stage
        half = wide if stage == 0 else wide // 2
        x = net.conv(x, wide, 3, 2, act="Mish")
        side, x = net.conv(x, half, 1, act="Mish"), net.conv(x, half, 1, act="Mish")
        for _ in range(count):
            x = net.sum(x, net.conv(net.conv(x, half // (2 if stage == 0 else 1), 1, act="Mish"), half, 3, act="Mish"))
        x = net.conv(net.join(net.conv(x, half, 1, act="Mish"), side), wide, 1, act="Mish")
        stages.append(x)

    def alternate(x, channels, kernels):
        for kernel in kernels:
            x = net.conv(x, channels if kernel == 1 else 2 * channels, kernel, act="LeakyRelu")
        return x

    x = alternate(x, 512, (1, 3, 1))
    pools = [net.max_pool(x, kernel, 1, kernel // 2) for kernel in (13, 9, 5)]
    deep = alternate(net.join(*pools, x), 512, (1, 3, 1))
    ups = [deep]
    for channels, skip in ((256, stages[3]), (128, stages[2])):
        up = net.twice_as_large(net.conv(ups[-1], channels, 1, act="LeakyRelu"))
        ups.append(alternate(net.join(net.conv(skip, channels, 1, act="LeakyRelu"), up), channels, (1, 3, 1, 3, 1)))
    x, heads = ups[2], []
    for channels, skip in ((128, ups[1]), (256, ups[0]), (512, None)):
        heads.append(net.conv(net.conv(x, 2 * channels, 3, act="LeakyRelu"), 255, 1, act=None))
        if skip:
            down = net.conv(x, 2 * channels, 3, 2, act="LeakyRelu")
            x = alternate(net.join(down, skip), 2 * channels, (1, 3, 1, 3, 1))
    return net.model(*heads)


BUILDERS = {
    "mobilenet_v2": mobilenet_v2,
    "resnet18": lambda: resnet((2, 2, 2, 2), bottleneck=False),
    "resnet50": lambda: resnet((3, 4, 6, 3), bottleneck=True),
    "vgg16": vgg16,
    "squeezenet1_1": squeezenet,
    "yolov4": yolov4,
}


def build(name):
    """The onnx.ModelProto of a name in BUILDERS; the same bytes every time."""
    return BUILDERS[name]()
