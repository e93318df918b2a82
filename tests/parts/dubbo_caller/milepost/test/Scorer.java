package milepost.test;

import java.util.List;

/** What an old caller has: an interface and classes of its own. */
public interface Scorer {
    Score score(Sample sample);

    List<Score> scoreAll(List<Sample> samples);

    double[][] matrix(double[][] rows);

    double[][] broken(double[][] rows);

    long count(long start);

    String image(byte[] picture);
}
