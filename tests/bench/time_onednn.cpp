// Times a network's convolutions back to back in oneDNN 2.x, without pooling and classifier, one
// line of JSON: median_ms an image.    OMP_NUM_THREADS=N time_onednn f32|bf16|s8 BATCH SECONDS <
// LAYERS A layer is a line: input channels, output channels, input edge, output edge, kernel edge,
// stride, groups, 1 if the shortcut is added to it. Each has bias and ReLU.
#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;
using Clock = std::chrono::steady_clock;

struct Layer {
    int inputs, outputs, edge, output_edge, kernel, stride, groups, adds;
};

struct Types {
    Type values, weights;
};

struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, memory> arguments;
};

Types types_of(const std::string &name)
{
    if (name == "s8")
        return {Type::u8, Type::s8};
    return name == "bf16" ? Types{Type::bf16, Type::bf16} : Types{Type::f32, Type::f32};
}

dnnl::primitive_attr attributes_of(const Layer &layer, bool integers)
{
    dnnl::post_ops after;
    if (layer.adds)
        after.append_sum(1.0f);
    after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(after);
    if (integers) // one factor for each output channel
        attributes.set_output_scales(1 << 1, std::vector<float>(layer.outputs, 0.01f));
    return attributes;
}

Step step_of(const Layer &layer, const Types &types, int batch, const dnnl::engine &engine)
{
    const memory::dims filter =
        layer.groups > 1 ? memory::dims{layer.groups, layer.outputs / layer.groups,
                                        layer.inputs / layer.groups, layer.kernel, layer.kernel}
                         : memory::dims{layer.outputs, layer.inputs, layer.kernel, layer.kernel};
    const int before = layer.kernel / 2;
    const int after = (layer.output_edge - 1) * layer.stride + layer.kernel - layer.edge - before;
    const dnnl::convolution_forward::desc wanted(
        dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
        memory::desc({batch, layer.inputs, layer.edge, layer.edge}, types.values,
                     layer.inputs == 3 ? Tag::nhwc : Tag::any),
        memory::desc(filter, types.weights, Tag::any),
        memory::desc({layer.outputs}, Type::f32, Tag::x),
        memory::desc({batch, layer.outputs, layer.output_edge, layer.output_edge}, types.values,
                     Tag::any),
        {layer.stride, layer.stride}, {before, before}, {after, after});
    const dnnl::convolution_forward::primitive_desc chosen(
        wanted, attributes_of(layer, types.values == Type::u8), engine);
    Step step{dnnl::convolution_forward(chosen),
              {{DNNL_ARG_SRC, memory(chosen.src_desc(), engine)},
               {DNNL_ARG_WEIGHTS, memory(chosen.weights_desc(), engine)},
               {DNNL_ARG_BIAS, memory(chosen.bias_desc(), engine)},
               {DNNL_ARG_DST, memory(chosen.dst_desc(), engine)}}};
    for (auto &argument : step.arguments) // subnormal numbers from old memory would be slow
        std::fill_n(static_cast<char *>(argument.second.get_data_handle()),
                    argument.second.get_desc().get_size(), 0);
    return step;
}

double seconds_since(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

} // namespace

int main(int count, char **words)
{
    if (count != 4)
        return EXIT_FAILURE;
    const Types types = types_of(words[1]);
    const int batch = std::atoi(words[2]);
    const double seconds = std::atof(words[3]);
    const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    std::vector<Step> steps;
    for (Layer l; std::cin >> l.inputs >> l.outputs >> l.edge >> l.output_edge >> l.kernel >>
                  l.stride >> l.groups >> l.adds;)
        steps.push_back(step_of(l, types, batch, engine));
    if (steps.empty())
        return EXIT_FAILURE;
    std::vector<double> times;
    const int warmup = 3;
    const auto begin = Clock::now();
    for (int run = 0; run <= warmup || seconds_since(begin) < seconds; run++) {
        const auto start = Clock::now();
        for (const Step &step : steps)
            step.primitive.execute(stream, step.arguments);
        stream.wait();
        if (run >= warmup)
            times.push_back(seconds_since(start));
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    std::printf("{\"median_ms\": %.5f}\n", 1e3 * times[times.size() / 2] / batch);
    return EXIT_SUCCESS;
}
