package milepost.test;

import java.io.Serializable;
import java.util.Date;

public class Sample implements Serializable {
    public enum Kind { CARD, TRANSFER }

    private String user;
    private int age;
    private long balance;
    private double[] features;
    private Date since;
    private Kind kind;
    private Sample parent;

    public String getUser() { return user; }
    public void setUser(String user) { this.user = user; }
    public int getAge() { return age; }
    public void setAge(int age) { this.age = age; }
    public long getBalance() { return balance; }
    public void setBalance(long balance) { this.balance = balance; }
    public double[] getFeatures() { return features; }
    public void setFeatures(double[] features) { this.features = features; }
    public Date getSince() { return since; }
    public void setSince(Date since) { this.since = since; }
    public Kind getKind() { return kind; }
    public void setKind(Kind kind) { this.kind = kind; }
    public Sample getParent() { return parent; }
    public void setParent(Sample parent) { this.parent = parent; }
}
