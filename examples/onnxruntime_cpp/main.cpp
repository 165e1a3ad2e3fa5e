// Generates jets with an exported model, by ONNX Runtime alone.
//
//   generate jets.onnx 1000 jets.csv axis=1000,0,0 condition=1000
//
// writes px, py and pz [GeV] of each particle of 1,000 jets. Inputs of the model are
// listed in the .json file beside it: those that are not random numbers are given as
// NAME=VALUES, the same for every jet. NAME=@FILE reads an input from raw float32
// numbers instead, row after row.

#include <onnxruntime_cxx_api.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Numbers = std::vector<float>;
using Values = std::map<std::string, std::string>;

// One row of an input for each jet.
Numbers filled(const std::string& name, std::size_t jets, std::size_t columns,
               const Values& given, std::mt19937& random) {
  Numbers numbers(jets * columns);
  const auto value = given.find(name);
  if (value == given.end() && name == "normal") {
    std::normal_distribution<float> normal;
    for (float& x : numbers) x = normal(random);
  } else if (value == given.end() && name == "uniform") {
    // Never 1, which std::uniform_real_distribution<float> can round to.
    for (float& x : numbers) x = static_cast<float>(random() >> 8) / (1 << 24);
  } else if (value == given.end()) {
    throw std::runtime_error("the model needs " + name + "=" +
                             std::to_string(columns) + " numbers");
  } else if (value->second.rfind("@", 0) == 0) {
    std::ifstream file(value->second.substr(1), std::ios::binary);
    const auto size = static_cast<std::streamsize>(numbers.size() * sizeof(float));
    if (!file.read(reinterpret_cast<char*>(numbers.data()), size))
      throw std::runtime_error(value->second.substr(1) + " has too few numbers");
  } else {
    std::istringstream text(value->second);
    Numbers row;
    for (std::string word; std::getline(text, word, ',');)
      row.push_back(std::stof(word));
    if (row.size() != columns)
      throw std::runtime_error(name + ": the model needs " + std::to_string(columns) +
                               " numbers");
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = row[i % columns];
  }
  return numbers;
}

int run(const std::string& model, std::size_t jets, const std::string& output,
        const Values& given) {
  Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "generate");
  Ort::Session session(env, model.c_str(), Ort::SessionOptions{});
  Ort::AllocatorWithDefaultOptions allocator;
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  std::mt19937 random(std::random_device{}());

  const std::size_t count = session.GetInputCount();
  std::vector<std::string> names;
  std::vector<Numbers> numbers(count);  // must live as long as the tensors
  std::vector<Ort::Value> inputs;
  for (std::size_t i = 0; i < count; ++i) {
    names.emplace_back(session.GetInputNameAllocated(i, allocator).get());
    const auto type = session.GetInputTypeInfo(i);
    const auto columns = type.GetTensorTypeAndShapeInfo().GetShape().at(1);
    const std::vector<int64_t> shape{static_cast<int64_t>(jets), columns};
    numbers[i] = filled(names[i], jets, columns, given, random);
    inputs.push_back(Ort::Value::CreateTensor<float>(
        memory, numbers[i].data(), numbers[i].size(), shape.data(), shape.size()));
  }
  std::vector<const char*> input_names;
  for (const auto& name : names) input_names.push_back(name.c_str());
  const std::vector<const char*> output_names{"particles", "mask", "inside"};
  const auto outputs =
      session.Run(Ort::RunOptions{nullptr}, input_names.data(), inputs.data(), count,
                  output_names.data(), output_names.size());

  const float* particles = outputs[0].GetTensorData<float>();  // [jets, N, 3]
  const float* mask = outputs[1].GetTensorData<float>();       // [jets, N]
  const float* inside = outputs[2].GetTensorData<float>();     // [jets]
  const auto size = outputs[1].GetTensorTypeAndShapeInfo().GetShape().at(1);
  std::FILE* file = std::fopen(output.c_str(), "w");
  if (file == nullptr) throw std::runtime_error(output + " cannot be written");
  std::fprintf(file, "jet,px,py,pz\n");
  std::size_t lost = 0;
  for (std::size_t jet = 0; jet < jets; ++jet) {
    if (inside[jet] == 0) ++lost;  // latents beyond those of all training jets
    for (int64_t i = 0; inside[jet] != 0 && i < size; ++i) {
      if (mask[jet * size + i] == 0) continue;
      const float* p = particles + 3 * (jet * size + i);
      std::fprintf(file, "%zu,%.9g,%.9g,%.9g\n", jet, p[0], p[1], p[2]);
    }
  }
  if (std::fclose(file) != 0) throw std::runtime_error(output + " cannot be written");
  std::printf("%zu jets in %s, %zu left out\n", jets - lost, output.c_str(), lost);
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: generate MODEL.onnx JETS OUTPUT.csv [NAME=VALUES]...\n");
    return 2;
  }
  Values given;
  for (int i = 4; i < argc; ++i) {
    const std::string word = argv[i];
    const auto at = word.find('=');
    if (at == std::string::npos) {
      std::fprintf(stderr, "%s: give NAME=VALUES\n", argv[i]);
      return 2;
    }
    given[word.substr(0, at)] = word.substr(at + 1);
  }
  try {
    return run(argv[1], std::stoul(argv[2]), argv[3], given);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "generate: %s\n", error.what());
    return 2;
  }
}
