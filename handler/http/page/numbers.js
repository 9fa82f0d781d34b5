// Computing with vectors.

const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
const percent = (share) => Math.round(share * 100);

function unit(vector) {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return vector.map((value) => value / length);
}

/** The two directions in which the vectors differ most (principal components), by power iteration on their Gram matrix. */
function projection(vectors) {
  const mean = vectors[0].map((_, index) => vectors.reduce((sum, vector) => sum + vector[index], 0) / vectors.length);
  const centred = vectors.map((vector) => vector.map((value, index) => value - mean[index]));
  const gram = centred.map((a) => centred.map((b) => dot(a, b)));
  const spread = gram.reduce((sum, row, index) => sum + row[index], 0);
  const axes = [0, 1].map(() => {
    let direction = unit(gram.map((_, index) => Math.cos(index + 1)));
    for (let turn = 0; turn < 200; turn++) direction = unit(gram.map((row) => dot(row, direction)));
    const strength = Math.max(0, dot(direction, gram.map((row) => dot(row, direction))));
    gram.forEach((row, i) => row.forEach((_, j) => (row[j] -= strength * direction[i] * direction[j])));
    return { strength, places: direction.map((value) => value * Math.sqrt(strength)) };
  });
  return {
    points: vectors.map((_, index) => axes.map((axis) => axis.places[index])),
    share: spread ? (axes[0].strength + axes[1].strength) / spread : 1,
  };
}
